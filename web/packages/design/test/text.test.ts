import { describe, expect, it } from 'vitest';
import { createTimeWriter, createTranslate, initials, linkify, pickLocale, safeUrl } from '../src/index';

const links = (text: string) => linkify(text).flatMap((segment) => (segment.kind === 'link' ? [segment.href] : []));

describe('links in messages', () => {
  it('finds an address and leaves the punctuation around it', () => {
    expect(links('See https://a.example/x?y=1. And (https://b.example/c).')).toEqual(['https://a.example/x?y=1', 'https://b.example/c']);
  });
  it('keeps brackets that belong to the address', () => {
    expect(links('https://en.example/wiki/Foo_(bar)')).toEqual(['https://en.example/wiki/Foo_(bar)']);
  });
  it('ends before Chinese punctuation', () => {
    expect(links('订单在https://a.example/1，请看。')).toEqual(['https://a.example/1']);
  });
  it('loses no character', () => {
    const text = 'a https://x.example/?q=<b> "c" https://y.example!';
    expect(linkify(text).map((segment) => segment.text).join('')).toBe(text);
  });
  it('never makes a link of another scheme', () => {
    expect(links('javascript:alert(1) data:text/html,x')).toEqual([]);
    expect(safeUrl('javascript:alert(1)')).toBeNull();
    expect(safeUrl('https://a.example/')).toBe('https://a.example/');
    // RFC 3986 3.1: without regard to case.
    expect([safeUrl('HTTPS://a.example/'), ...links('Http://b.example/')]).toEqual(['HTTPS://a.example/', 'Http://b.example/']);
    expect(safeUrl(7)).toBeNull();
  });
});

describe('names', () => {
  it('stands for a name with one or two characters', () => {
    expect([initials('Ann Li'), initials('王建国'), initials('  '), initials('zoë')]).toEqual(['AL', '建国', '?', 'Z']);
  });
});

describe('translation', () => {
  it('chooses the plural form and fills places', () => {
    const t = createTranslate('en', { n: { one: '{count} thing', other: '{count} things' }, who: 'Hi {name}' });
    expect([t('n', { count: 1 }), t('n', { count: 1200 }), t('who', { name: '{count}' })]).toEqual(['1 thing', '1,200 things', 'Hi {count}']);
  });
  it('picks the nearest language', () => {
    expect(pickLocale(['fr', 'zh-TW', 'en'], ['zh-CN', 'en'], 'en')).toBe('zh-CN');
    expect(pickLocale(['de'], ['zh-CN', 'en'], 'en')).toBe('en');
  });
});

describe('times', () => {
  const time = createTimeWriter('en', { now: 'now' });
  const noon = new Date(2026, 10, 23, 12).getTime();
  it('is short in a list', () => {
    const ago = (ms: number) => time.ago(noon - ms, noon);
    expect([ago(5_000), ago(5 * 60_000), ago(3 * 3_600_000)]).toEqual(['now', '5m', '3h']);
    expect(time.ago(new Date(2025, 0, 5).getTime(), noon)).toContain('2025');
  });
  it('names the days of a thread', () => {
    expect([time.day(noon, noon), time.day(noon - 86_400_000, noon)]).toEqual(['Today', 'Yesterday']);
  });
  it('names a time to come by its day, where that is not today', () => {
    const upcoming = (...day: [number, number, number, number]) => time.upcoming(new Date(...day).getTime(), noon);
    expect([upcoming(2026, 10, 23, 13), upcoming(2026, 10, 24, 9), upcoming(2026, 10, 30, 9)]).toEqual(['13:00', 'Tue 09:00', 'Nov 30 09:00']);
  });
  it('writes durations with two units at most', () => {
    expect([time.duration(42_000), time.duration(125 * 60_000), time.duration(11 * 3_600_000 + 60_000)]).toEqual(['42s', '2h 5m', '11h']);
  });
  it('knows other zones, and does not know wrong ones', () => {
    expect(time.clockIn('Asia/Shanghai', Date.UTC(2026, 0, 1, 1, 30))).toBe('09:30');
    expect(time.clockIn('Mars/Base', noon)).toBeNull();
  });
});
