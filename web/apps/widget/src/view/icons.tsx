import type { JSX } from 'preact';

export function Icon({ d, size = 20, fill = false }: { d: string; size?: number; fill?: boolean }): JSX.Element {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill={fill ? 'currentColor' : 'none'} stroke={fill ? 'none' : 'currentColor'} stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={d} />
    </svg>
  );
}

export const Close = (): JSX.Element => <Icon d="M6 6l12 12M18 6 6 18" />;
export const Send = (): JSX.Element => <Icon d="M4.4 19.6 21 12 4.4 4.4 4.4 10.2 14 12l-9.6 1.8z" fill size={22} />;
export const Down = (): JSX.Element => <Icon d="M12 5v14m-6-6 6 6 6-6" size={16} />;
export const Bubble = (): JSX.Element => <Icon d="M12 4c5 0 8.8 3.3 8.8 7.5S17 19 12 19c-1 0-1.9-.1-2.8-.4L5 20.5l.9-3.3c-1.3-1.4-2.1-3.4-2.1-5.7C3.8 7.3 7 4 12 4Z" fill size={24} />;
export const Person = (): JSX.Element => <Icon d="M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.5 8c.6-3.6 3.7-6 7.5-6s6.9 2.4 7.5 6" size={18} />;
export const Arrow = (): JSX.Element => <Icon d="M9 6l6 6-6 6" size={16} />;
const Clock = (): JSX.Element => <Icon d="M12 7v5l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z" size={14} />;
const Warning = (): JSX.Element => <Icon d="M12 8v5m0 3.5v.01M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z" size={14} />;
const Tick = (): JSX.Element => <Icon d="m5 13 4.5 4.5L19 8" size={15} />;
const Ticks = (): JSX.Element => <Icon d="m2 13 4.5 4.5L15 8M11.5 16l1.5 1.5L22 8" size={16} />;

export const MARKS = { sending: Clock, failed: Warning, sent: Tick, delivered: Ticks, read: Ticks } as const;
