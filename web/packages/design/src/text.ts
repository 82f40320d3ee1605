export type Segment = { kind: 'text'; text: string } | { kind: 'link'; text: string; href: string };

const LINK = /\bhttps?:\/\/[^\s<>"'，。；！？、（）【】《》「」]+/giu;
const TRAILING = /[.,;:!?)\]}]+$/u;

function balanced(url: string): boolean {
  return url.split('(').length === url.split(')').length;
}

function trimLink(url: string): string {
  const tail = TRAILING.exec(url)?.[0] ?? '';
  const shorter = tail ? url.slice(0, -tail.length) : url;
  return tail.startsWith(')') && balanced(`${shorter})`) ? `${shorter})` : shorter;
}

/** Cuts a message into plain text and http(s) links; the caller renders both as text nodes, never as HTML. */
export function linkify(text: string): Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const url = trimLink(match[0]);
    if (match.index > from) segments.push({ kind: 'text', text: text.slice(from, match.index) });
    segments.push({ kind: 'link', text: url, href: url });
    from = match.index + url.length;
  }
  if (from < text.length) segments.push({ kind: 'text', text: text.slice(from) });
  return segments;
}

/** An http(s) address as given, else null: what may stand in `href` or `src`. */
export function safeUrl(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  try {
    return /^https?:$/.test(new URL(value).protocol) ? value : null;
  } catch {
    return null;
  }
}
