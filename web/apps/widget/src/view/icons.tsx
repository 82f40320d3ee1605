import type { JSX } from 'preact';

function Icon({ d, size = 20, fill = false }: { d: string; size?: number; fill?: boolean }): JSX.Element {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill={fill ? 'currentColor' : 'none'} stroke={fill ? 'none' : 'currentColor'} stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={d} />
    </svg>
  );
}

export const Close = (): JSX.Element => <Icon d="M6 6l12 12M18 6 6 18" />;
export const Send = (): JSX.Element => <Icon d="M4.400 19.600 21 12 4.400 4.400 4.400 10.200 14 12l-9.600 1.800z" fill size={22} />;
export const Down = (): JSX.Element => <Icon d="M12 5v14m-6-6 6 6 6-6" size={16} />;
export const Bubble = (): JSX.Element => <Icon d="M12 4c5 0 8.800 3.300 8.800 7.500S17 19 12 19c-1 0-1.900-.1-2.800-.4L5 20.500l.9-3.300c-1.300-1.400-2.100-3.400-2.100-5.700C3.800 7.300 7 4 12 4Z" fill size={24} />;
export const Person = (): JSX.Element => <Icon d="M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.500 8c.6-3.600 3.700-6 7.500-6s6.900 2.400 7.500 6" size={18} />;
export const FileIcon = (): JSX.Element => <Icon d="M14 3v5h5M14 3H6a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V8z" />;
export const Arrow = (): JSX.Element => <Icon d="M9 6l6 6-6 6" size={16} />;
const Clock = (): JSX.Element => <Icon d="M12 7v5l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z" size={14} />;
const Warning = (): JSX.Element => <Icon d="M12 8v5m0 3.500v.01M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z" size={14} />;
const Tick = (): JSX.Element => <Icon d="m5 13 4.500 4.500L19 8" size={15} />;
const Ticks = (): JSX.Element => <Icon d="m2 13 4.500 4.500L15 8M11.500 16l1.500 1.500L22 8" size={16} />;

export const MARKS = { sending: Clock, failed: Warning, sent: Tick, delivered: Ticks, read: Ticks } as const;
