const HAN = /\p{Script=Han}/u;

/** One or two characters that stand for a name: the last two of a Chinese name, else the initials. */
export function initials(name: string): string {
  const trimmed = name.trim();
  if (!trimmed) return '?';
  const chars = [...trimmed];
  if (HAN.test(trimmed)) return chars.filter((char) => HAN.test(char)).slice(-2).join('');
  const words = trimmed.split(/\s+/);
  const first = [...(words[0] ?? '')][0] ?? '?';
  const last = words.length > 1 ? ([...(words[words.length - 1] ?? '')][0] ?? '') : '';
  return (first + last).toLocaleUpperCase();
}

/** A number below `count` that is always the same for one id: which colour an avatar or an inbox has. */
export function colourIndex(id: string, count: number): number {
  let hash = 7;
  for (const char of id) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash % count;
}
