import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const CSS = readFileSync(new URL('../src/tokens.css', import.meta.url), 'utf8');

/** The light and the dark value of each colour token. */
const TOKENS = new Map(
  [...CSS.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(([, name = '', light = '', dark = '']) => [name, { light, dark }]),
);

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5]
    .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const SURFACES = ['surface-0', 'surface-1', 'surface-2', 'surface-3', 'surface-raised', 'accent-soft'];
const PAIRS: [string, string][] = [
  ...['text-1', 'text-2', 'text-3'].flatMap((text) => SURFACES.map((surface): [string, string] => [text, surface])),
  ...['accent', 'danger', 'ok', 'warn'].map((colour): [string, string] => [colour, 'surface-1']),
  ['on-accent', 'accent'],
  ['on-accent', 'accent-hover'],
  ['danger', 'danger-soft'],
  ['warn', 'warn-soft'],
  ['ok', 'ok-soft'],
  ['accent', 'accent-soft'],
  ['note-text', 'note'],
  ['text-1', 'note'],
];

describe('colour tokens', () => {
  it.each(PAIRS)('%s is readable on %s in both schemes', (text, surface) => {
    const [over, under] = [TOKENS.get(text), TOKENS.get(surface)];
    expect(over && under).toBeTruthy();
    if (!over || !under) return;
    expect(contrast(over.light, under.light)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(over.dark, under.dark)).toBeGreaterThanOrEqual(4.5);
  });
});
