import { useState } from 'react';

const TOLD_MS = 1_600;

async function write(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  // The only way on plain http, where the clipboard interface is missing.
  document.execCommand('copy');
  area.remove();
}

/** Copies a text, and is true for a moment after. */
export function useCopy(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  const copy = (text: string) => {
    void write(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), TOLD_MS);
    });
  };
  return [copied, copy];
}
