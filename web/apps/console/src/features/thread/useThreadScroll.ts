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
  const before = useRef({ first: 0, height: 0, unsent: 0, placed: false });
  const follows = useRef(true);
  const [sight, setSight] = useState({ atBottom: true, seenSeq: 0 });
  const [first, last] = [thread.events[0]?.seq ?? 0, thread.events.at(-1)?.seq ?? 0];

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
    const height = element.scrollHeight;
    if (!was.placed) place(element);
    else if (first < was.first) element.scrollTop += height - was.height;
    else if ((follows.current && wasAtEnd(element, was.height)) || unsent > was.unsent) toBottom();
    before.current = { first, height: element.scrollHeight, unsent, placed: true };
    look(element);
    // Where the first sight is near the top already, no scrolling would ask for what is above.
    if (element.scrollTop < NEAR_TOP_PX) onEarlier();
  }, [thread.events, first, unsent, toBottom, look, onEarlier]);

  useEffect(() => {
    const inner = content.current;
    const element = box.current;
    if (!inner || !element) return;
    const observer = new ResizeObserver(() => {
      if (follows.current) element.scrollTop = element.scrollHeight;
      before.current.height = element.scrollHeight;
    });
    observer.observe(inner);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const element = box.current;
    if (!element) return;
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

/** The first sight of a thread: the line above what is new, else the end. */
function place(element: HTMLElement): void {
  const line = element.querySelector<HTMLElement>('[data-new-line]');
  const top = line ? line.offsetTop - element.clientHeight / 3 : element.scrollHeight;
  element.scrollTop = Math.min(top, element.scrollHeight);
}
