/**
 * A client of server-sent events for tests.
 */
export interface TestStream {
  response: Response;
  /** Data of the next event of this name; earlier events of other names are skipped and kept. */
  next(name: string): Promise<unknown>;
  /** Resolves when the server ends the stream. */
  ended: Promise<void>;
  close(): void;
}

/** @throws Error when the answer is not an event stream */
export async function openStream(url: string): Promise<TestStream> {
  const abort = new AbortController();
  const response = await fetch(url, { signal: abort.signal });
  if (response.status !== 200) throw new Error(`stream answered ${response.status}`);
  const events: { name: string; data: unknown }[] = [];
  let wake = () => {};
  let over = false;
  const ended = consume(response, (name, data) => {
    events.push({ name, data });
    wake();
  }).finally(() => {
    over = true;
    wake();
  });
  const next = async (name: string): Promise<unknown> => {
    for (;;) {
      const at = events.findIndex((event) => event.name === name);
      if (at >= 0) return events.splice(at, 1)[0]!.data;
      if (over) throw new Error(`the stream ended before an event "${name}"`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { response, next, ended, close: () => abort.abort() };
}

async function consume(response: Response, onEvent: (name: string, data: unknown) => void): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of chunksOf(response)) {
      text += decoder.decode(chunk, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop()!;
      for (const frame of frames) {
        const match = /^event: (\w+)\ndata: (.*)$/.exec(frame);
        if (match) onEvent(match[1]!, JSON.parse(match[2]!));
      }
    }
  } catch (error) {
    // Cut by the server or closed by the test: either way the stream is over.
    if (!(error instanceof Error)) throw error;
  }
}

/** The types of the DOM, which the page is checked with, do not know that bodies are iterable in Node. */
export function chunksOf(response: Response): AsyncIterable<Uint8Array> {
  return response.body as unknown as AsyncIterable<Uint8Array>;
}
