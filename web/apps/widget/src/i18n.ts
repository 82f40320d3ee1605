import type { TextKey, Texts } from './texts/en';

export interface Words {
  readonly locale: string;
  /** Fills the `{name}` places. */
  readonly t: (key: TextKey, params?: Readonly<Record<string, string | number>>) => string;
  /** 10:02 */
  readonly clock: (time: number) => string;
  /** Today, Yesterday, or the date. */
  readonly day: (time: number) => string;
}

const DAY = 86_400_000;

/** Loads the texts of the first language that we speak, and only those. */
export async function words(wanted: readonly string[]): Promise<Words> {
  const locale = wanted.find((tag) => /^(zh|en)/i.test(tag))?.startsWith('zh') ? 'zh-CN' : 'en';
  const { default: texts }: { default: Texts } = await (locale === 'en' ? import('./texts/en') : import('./texts/zh'));
  return { locale, t: (key, params = {}) => texts[key].replace(/\{(\w+)\}/g, (_place, name: string) => String(params[name])), ...times(locale) };
}

function times(locale: string): Omit<Words, 'locale' | 't'> {
  const write = (options: Intl.DateTimeFormatOptions): ((time: number) => string) => {
    const format = new Intl.DateTimeFormat(locale, options);
    return (time) => format.format(time);
  };
  const date = write({ weekday: 'long', month: 'long', day: 'numeric' });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const midnight = (time: number): number => new Date(time).setHours(0, 0, 0, 0);
  return {
    clock: write({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
    day(time) {
      const days = Math.round((midnight(time) - midnight(Date.now())) / DAY);
      return days > -2 ? relative.format(days, 'day').replace(/^./u, (first) => first.toLocaleUpperCase(locale)) : date(time);
    },
  };
}
