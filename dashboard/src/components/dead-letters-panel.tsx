/** What could not become a reading: why, where from, and the bytes themselves. */
import type { ApiDeadLetter } from "../../../api/schemas.js";
import { formatAge, formatCount, formatFull } from "../format.js";
import { page } from "../state.js";
import { useStore } from "../store.js";

export function DeadLettersPanel() {
  const list = useStore(page, (state) => state.deadLetters);
  const total = useStore(page, (state) => state.stats.invalid);
  return (
    <section class="panel" data-testid="dead-letters">
      <header>
        <h2>Dead letters</h2>
        {typeof total === "number" && <span class="count">{formatCount(total)} since the start</span>}
      </header>
      {!list && <p class="quiet pad">Loading…</p>}
      {list?.deadLetters.length === 0 && <p class="quiet pad">None. Every message became a reading.</p>}
      <ul class="cards">
        {list?.deadLetters.map((letter) => (
          <Letter key={`${letter.partition}-${letter.offset}`} letter={letter} />
        ))}
      </ul>
      {list !== undefined && list.unreadable > 0 && (
        <p class="quiet pad">{list.unreadable} records of this topic were not written by the gateway.</p>
      )}
    </section>
  );
}

function Letter({ letter }: { letter: ApiDeadLetter }) {
  const now = useStore(page, (state) => state.now);
  return (
    <li class="letter">
      <details>
        <summary>
          <span class="alert-head">
            <span class="reason">{letter.reason}</span>
            <span class="alert-what">{letter.topic}</span>
            <time title={formatFull(letter.ingestTs)}>{formatAge(letter.ingestTs, now)}</time>
          </span>
          <span class="alert-summary">{letter.detail}</span>
        </summary>
        <pre>{letter.text ?? hex(letter.payload)}</pre>
        <p class="quiet">
          {formatCount(letter.payloadBytes)} bytes
          {letter.text === null && ", not text: shown as hex"}
          {letter.clientId && `, from client ${letter.clientId}`}
          {letter.index !== undefined && `, element ${letter.index} of a batch`}, at {letter.partition}:
          {letter.offset}
        </p>
      </details>
    </li>
  );
}

/** Sixteen bytes a line. */
function hex(base64: string): string {
  const bytes = [...atob(base64)].map((char) => char.charCodeAt(0).toString(16).padStart(2, "0"));
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; i += 16) lines.push(bytes.slice(i, i + 16).join(" "));
  return lines.join("\n");
}
