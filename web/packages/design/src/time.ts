const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Writes times for one locale. Every argument is in milliseconds since 1970 UTC; days are those of the local zone. */
export interface TimeWriter {
  /** 10:02 */
  clock(time: number): string;
  /** now, 4m, 3h, yesterday's weekday, else the date: as short as a list row needs. */
  ago(time: number, now: number): string;
  /** now, 4 minutes ago, yesterday: in a sentence. */
  since(time: number, now: number): string;
  /** Today, Yesterday, or the date: the line between two days of a thread. */
  day(time: number, now: number): string;
  /** 14:30, Tue 09:00, Dec 7 09:00: a time to come. */
  upcoming(time: number, now: number): string;
  /** Date and time in full, for tooltips. */
  full(time: number): string;
  /** 45s, 12m, 2h 5m: how long something has lasted. */
  duration(ms: number): string;
  /** The time of day in another zone, or null where the zone is unknown to the browser. */
  clockIn(zone: string, now: number): string | null;
}

export function startOfDay(time: number): number {
  return new Date(time).setHours(0, 0, 0, 0);
}

function capital(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

function daysBetween(time: number, now: number): number {
  return Math.round((startOfDay(now) - startOfDay(time)) / DAY);
}

function unit(locale: string, name: 'second' | 'minute' | 'hour'): Intl.NumberFormat {
  return new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: locale.startsWith('zh') ? 'short' : 'narrow' });
}

export function createTimeWriter(locale: string, words: { now: string }): TimeWriter {
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const weekday = new Intl.DateTimeFormat(locale, { weekday: 'short' });
  const date = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' });
  const dated = new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'short', day: 'numeric' });
  const long = new Intl.DateTimeFormat(locale, { weekday: 'long', month: 'long', day: 'numeric' });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const [second, minute, hour] = [unit(locale, 'second'), unit(locale, 'minute'), unit(locale, 'hour')];
  const sameYear = (a: number, b: number) => new Date(a).getFullYear() === new Date(b).getFullYear();

  return {
    clock: (time) => clock.format(time),
    full: (time) => full.format(time),
    ago(time, now) {
      const past = Math.max(0, now - time);
      if (past < MINUTE) return words.now;
      if (past < HOUR) return minute.format(Math.floor(past / MINUTE));
      if (daysBetween(time, now) === 0) return hour.format(Math.floor(past / HOUR));
      if (daysBetween(time, now) < 7) return weekday.format(time);
      return sameYear(time, now) ? date.format(time) : dated.format(time);
    },
    since(time, now) {
      const past = Math.max(0, now - time);
      if (past < MINUTE) return words.now;
      if (past < HOUR) return relative.format(-Math.floor(past / MINUTE), 'minute');
      if (past < DAY) return relative.format(-Math.floor(past / HOUR), 'hour');
      return relative.format(-daysBetween(time, now), 'day');
    },
    day(time, now) {
      const days = daysBetween(time, now);
      if (days === 0 || days === 1) return capital(relative.format(-days, 'day'));
      return sameYear(time, now) ? long.format(time) : dated.format(time);
    },
    upcoming(time, now) {
      const days = daysBetween(now, time);
      const day = days === 0 ? '' : `${(days < 7 ? weekday : date).format(time)} `;
      return day + clock.format(time);
    },
    duration(ms) {
      if (ms < MINUTE) return second.format(Math.max(0, Math.floor(ms / 1000)));
      if (ms < HOUR) return minute.format(Math.floor(ms / MINUTE));
      const minutes = Math.floor((ms % HOUR) / MINUTE);
      const hours = hour.format(Math.floor(ms / HOUR));
      return minutes && ms < 10 * HOUR ? `${hours} ${minute.format(minutes)}` : hours;
    },
    clockIn(zone, now) {
      try {
        return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: zone }).format(now);
      } catch {
        return null;
      }
    },
  };
}
