import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react';
import type { Thread } from '../../state/state';

const BOTTOM_PX = 56;
const NEAR_TOP_PX = 500;

interface ThreadScroll {
  box: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  atBottom: boolean;
  /** The last event that was in sight while the end was shown. */
  seenSeq: number;
  toBottom: () => void;
  onScroll: () => void;
}

/**
 * Where a thread is scrolled to: at its end it follows new messages, elsewhere it stays; what loads above moves nothing; a message of
 * our own shows the end.
 */
export function useThreadScroll(thread: Thread, unsent: number, onEarlier: () => void): ThreadScroll {
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const before = useRef({ height: 0, unsent: 0, placed: false });
  const anchor = useRef<Anchor | null>(null);
  const follows = useRef(true);
  const [sight, setSight] = useState({ atBottom: true, seenSeq: 0 });
  const last = thread.events.at(-1)?.seq ?? 0;

  const look = useCallback((element: HTMLElement) => {
    const atBottom = isAtBottom(element);
    follows.current = atBottom;
    setSight((was) => {
      const seenSeq = atBottom ? last : was.seenSeq;
      return was.atBottom === atBottom && was.seenSeq === seenSeq ? was : { atBottom, seenSeq };
    });
  }, [last]);
  const toBottom = useCallback(() => {
    follows.current = true;
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, []);

  useLayoutEffect(() => {
    const [element, was] = [box.current, before.current];
    if (!element || !thread.events.length) return;
    if (!was.placed) place(element);
    else if ((follows.current && wasAtEnd(element, was.height)) || unsent > was.unsent) toBottom();
    else hold(element, anchor.current);
    before.current = { height: element.scrollHeight, unsent, placed: true };
    anchor.current = anchorOf(element);
    look(element);
    // Where the first sight is near the top already, no scrolling would ask for what is above.
    if (element.scrollTop < NEAR_TOP_PX) onEarlier();
  }, [thread.events, unsent, toBottom, look, onEarlier]);

  useEffect(() => {
    const inner = content.current;
    const element = box.current;
    if (!inner || !element) return;
    const observer = new ResizeObserver(() => {
      if (follows.current) element.scrollTop = element.scrollHeight;
      else hold(element, anchor.current);
      before.current.height = element.scrollHeight;
    });
    observer.observe(inner);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    anchor.current = anchorOf(element);
    look(element);
    if (element.scrollTop < NEAR_TOP_PX) onEarlier();
  };
  return { box, content, ...sight, toBottom, onScroll };
}

function isAtBottom(element: HTMLElement): boolean {
  return element.scrollHeight - element.scrollTop - element.clientHeight < BOTTOM_PX;
}

/** Before its content grew; a scroll of this very moment has not been told as an event yet. */
function wasAtEnd(element: HTMLElement, height: number): boolean {
  return height - element.scrollTop - element.clientHeight < BOTTOM_PX;
}

/** The message at the top of what is in sight, and where it stands. */
interface Anchor {
  seq: string;
  top: number;
}

function anchorOf(element: HTMLElement): Anchor | null {
  const rows = element.querySelectorAll<HTMLElement>('[data-seq]');
  const row = [...rows].find((one) => one.offsetTop + one.offsetHeight > element.scrollTop);
  return row?.dataset.seq ? { seq: row.dataset.seq, top: row.offsetTop } : null;
}

/** Whatever came above the anchor moves nothing in sight. */
function hold(element: HTMLElement, anchor: Anchor | null): void {
  const row = anchor && element.querySelector<HTMLElement>(`[data-seq="${anchor.seq}"]`);
  if (!row || row.offsetTop === anchor.top) return;
  element.scrollTop += row.offsetTop - anchor.top;
  anchor.top = row.offsetTop;
}

/** The first sight of a thread: the line above what is new, else the end. */
function place(element: HTMLElement): void {
  const line = element.querySelector<HTMLElement>('[data-new-line]');
  const top = line ? line.offsetTop - element.clientHeight / 3 : element.scrollHeight;
  element.scrollTop = Math.min(top, element.scrollHeight);
}
