import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** The light and the dark value of each colour token of a sheet. */
function tokensOf(sheet: string): Map<string, { light: string; dark: string }> {
  const css = readFileSync(new URL(sheet, import.meta.url), 'utf8');
  return new Map([...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(([, name = '', light = '', dark = '']) => [name, { light, dark }]));
}

const SHARED = tokensOf('../src/tokens.css');
const WIDGET = tokensOf('../../../apps/widget/src/style.css');

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

const WIDGET_PAIRS: [string, string][] = [
  ...['text', 'text-2', 'text-3', 'accent'].flatMap((text) => ['surface', 'card', 'surface-2'].map((surface): [string, string] => [text, surface])),
  ['accent', 'accent-soft'],
  ['danger', 'surface'],
  ['text', 'danger-soft'],
  ['warn', 'warn-soft'],
];

function readable(tokens: typeof SHARED, text: string, surface: string): void {
  const [over, under] = [tokens.get(text), tokens.get(surface)];
  expect(over && under).toBeTruthy();
  if (!over || !under) return;
  expect(contrast(over.light, under.light)).toBeGreaterThanOrEqual(4.5);
  expect(contrast(over.dark, under.dark)).toBeGreaterThanOrEqual(4.5);
}

describe('colour tokens', () => {
  it.each(PAIRS)('%s is readable on %s in both schemes', (text, surface) => readable(SHARED, text, surface));
  it.each(WIDGET_PAIRS)("the widget's %s is readable on its %s in both schemes", (text, surface) => readable(WIDGET, text, surface));
});
