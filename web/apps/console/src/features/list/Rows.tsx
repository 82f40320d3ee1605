import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import css from './List.module.css';
import type { CalmOrder } from './useCalmOrder';

export const ROW_PX = 68;
const SPARE_ROWS = 6;
const NEAR_END_PX = 600;

interface Props {
  ids: readonly string[];
  selected: string | null;
  label: string;
  row: (id: string) => ReactNode;
  onMove: (step: 1 | -1) => void;
  onNearEnd: () => void;
  footer?: ReactNode;
  pointer: CalmOrder['pointer'];
}

interface Span {
  top: number;
  height: number;
}

function visibleRange({ top, height }: Span, count: number): [number, number] {
  const from = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  return [from, Math.min(count, Math.ceil((top + height) / ROW_PX) + SPARE_ROWS)];
}

function useSpan() {
  const box = useRef<HTMLDivElement>(null);
  const [span, setSpan] = useState<Span>({ top: 0, height: 800 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setSpan({ top: element.scrollTop, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);
  return { box, span };
}

/** Rows of one height, of which only those near the window exist. Arrow keys move the selection. */
export function Rows({ ids, selected, label, row, onMove, onNearEnd, footer, pointer }: Props) {
  const { box, span } = useSpan();
  const [from, to] = visibleRange(span, ids.length);
  const index = selected ? ids.indexOf(selected) : -1;

  useEffect(() => {
    const element = box.current;
    if (!element || index < 0) return;
    const [top, bottom] = [index * ROW_PX, (index + 1) * ROW_PX];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
    // Only a new selection brings its row into view; a reordered list must not scroll by itself.
  }, [selected]);

  useEffect(() => {
    if (ids.length * ROW_PX - (span.top + span.height) < NEAR_END_PX) onNearEnd();
  }, [ids.length, span.top, span.height, onNearEnd]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || (event.key !== 'ArrowDown' && event.key !== 'ArrowUp')) return;
    event.preventDefault();
    onMove(event.key === 'ArrowDown' ? 1 : -1);
  };

  return (
    <div ref={box} className={css.scroll} onKeyDown={onKeyDown} {...pointer}>
      <ul className={css.rows} aria-label={label} style={{ height: ids.length * ROW_PX }}>
        {ids.slice(from, to).map((id, offset) => (
          <li
            key={id}
            className={css.slot}
            style={{ transform: `translateY(${(from + offset) * ROW_PX}px)` }}
            aria-setsize={ids.length}
            aria-posinset={from + offset + 1}
          >
            {row(id)}
          </li>
        ))}
      </ul>
      {footer}
    </div>
  );
}
