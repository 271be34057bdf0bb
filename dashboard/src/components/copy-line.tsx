/** A line of text with a button that copies it. */
import { useRef, useState } from "preact/hooks";

const SHOWN_FOR_MS = 2_000;

export function CopyLine({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text, code.current!);
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_FOR_MS);
  };
  return (
    <div class="copy">
      <code ref={code}>{text}</code>
      <button type="button" onClick={() => void copy()}>
        {copied ? "Copied" : "Copy"}
      </button>
    </div>
  );
}

/** The clipboard API exists only over HTTPS and on this machine; elsewhere the text is selected and copied. */
async function copyText(text: string, element: HTMLElement): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  getSelection()?.selectAllChildren(element);
  document.execCommand("copy");
}
