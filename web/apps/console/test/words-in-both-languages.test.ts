import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTimeWriter, createTranslate } from '@unique-cs/design';
import { en } from '../src/i18n/en';
import { zhCN } from '../src/i18n/zh-CN';
import { activityLine, rowLine } from '../src/lib/say';
import { ANN, event, ME, MEI, says } from './words';

const SOURCE = new URL('../src', import.meta.url).pathname;
const DICTIONARIES = ['en.ts', 'zh-CN.ts'];
const places = (text: unknown) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !DICTIONARIES.includes(entry.name) ? [readFileSync(path, 'utf8')] : [];
  });
}

describe('the two languages', () => {
  it('have the same keys', () => {
    expect(Object.keys(zhCN).sort()).toEqual(Object.keys(en).sort());
  });

  it('have a text for each key, with the same places', () => {
    for (const [key, text] of Object.entries(en)) {
      const chinese = zhCN[key as keyof typeof en];
      expect(JSON.stringify(chinese).length, key).toBeGreaterThan(2);
      expect(places(chinese), key).toEqual(places(text));
    }
  });

  it('hold no key that nothing shows', () => {
    const code = sources(SOURCE).join('\n');
    const families = [...code.matchAll(/`([a-z]+(?:\.[a-z]+)*)\.\$\{/g)].map((match) => `${match[1]}.`);
    const unused = Object.keys(en).filter((key) => !code.includes(`'${key}'`) && !families.some((family) => key.startsWith(family)));
    expect(unused).toEqual([]);
  });

  it('hold no visible Chinese or English text outside the dictionaries', () => {
    const han = sources(SOURCE).join('\n').replaceAll('简体中文', '').match(/\p{Script=Han}+/gu);
    expect(han).toBeNull();
  });
});

describe('words for events', () => {
  const english = { t: createTranslate('en', en), time: createTimeWriter('en', { now: 'now' }) };
  const chinese = { t: createTranslate('zh-CN', zhCN), time: createTimeWriter('zh-CN', { now: '刚刚' }) };
  const { t } = english;

  it('tells who did what', () => {
    const taken = event(2, 'conversation.assigned', MEI, { assignee: { id: ME.id, name: 'Mei' } });
    const given = event(2, 'conversation.assigned', MEI, { assignee: { id: '7', name: 'Jo' } });
    expect(activityLine(english, taken, ME.id)).toBe('You took this conversation');
    expect(activityLine(english, given, 'other')).toBe('Mei assigned this to Jo');
    expect(activityLine(chinese, event(3, 'conversation.status_changed', ANN, { status: 'open' }), ME.id)).toBe('Ann重新打开了会话');
  });

  it('tells what happened by itself', () => {
    const system = { kind: 'system', id: '0', name: 'system' } as const;
    const woken = event(3, 'conversation.status_changed', system, { status: 'open', previous: 'snoozed' });
    const closed = event(3, 'conversation.status_changed', system, { status: 'resolved', previous: 'open' });
    expect(activityLine(english, woken, ME.id)).toBe('The time has come: this conversation is open again');
    expect(activityLine(english, closed, ME.id)).toBe('unique-cs resolved this conversation');
  });

  it('tells until when a conversation is snoozed, if that is known', () => {
    const until = new Date(2026, 11, 7, 9).getTime();
    const timed = event(3, 'conversation.status_changed', MEI, { status: 'snoozed', previous: 'open', until });
    const endless = event(3, 'conversation.status_changed', MEI, { status: 'snoozed', previous: 'open' });
    expect(activityLine(english, timed, 'other')).toBe('Mei snoozed this conversation until Dec 7, 2026, 09:00');
    expect(activityLine(chinese, timed, 'other')).toBe('Mei将会话暂缓至 2026年12月7日 09:00');
    expect(activityLine(english, endless, ME.id)).toBe('You snoozed this conversation');
  });

  it('says whose line it is only where that matters', () => {
    expect(rowLine(t, says(1, MEI, 'hi'), ME.id)).toBe('You: hi');
    expect(rowLine(t, says(1, ANN, 'hi'), ME.id)).toBe('hi');
    expect(rowLine(t, says(1, MEI, 'hi', { private: true }), ME.id)).toBe('Note: hi');
  });
});
