import { STYLE } from './style';

type Listener = (detail: unknown) => void;
type Settings = Readonly<Record<string, unknown>>;

const TEXT = {
  en: { open: 'Open chat', close: 'Close chat', panel: 'Chat', unread: 'unread' },
  zh: { open: '打开在线客服', close: '关闭在线客服', panel: '在线客服', unread: '条未读' },
};
/** The page comes first: a panel that nobody asked for yet loads this many ms later. */
const IDLE = 1500;
const SVG = 'http://www.w3.org/2000/svg';
const BUBBLE = 'M12 3c5.2 0 9.2 3.5 9.2 8s-4 8-9.2 8c-1 0-2-.1-2.9-.4L4.4 20.7c-.5.2-1-.3-.8-.8l1-3.4C3.4 15 2.8 13.1 2.8 11c0-4.5 4-8 9.2-8Z';
const CROSS = 'm5.5 9 6.5 6.5L18.5 9';

/** The button, and the panel in its frame. It touches nothing of the page but one element under `<html>`. */
export class Launcher {
  readonly #origin: string;
  readonly #inbox: string;
  readonly #lang: string;
  readonly #text: (typeof TEXT)['en'];
  readonly #host = document.createElement('unique-cs');
  readonly #root = document.createElement('section');
  readonly #button = document.createElement('button');
  readonly #badge = document.createElement('i');
  readonly #box = document.createElement('div');
  readonly #listeners = new Map<string, Set<Listener>>();
  #frame: HTMLIFrameElement | undefined;
  #port: MessagePort | undefined;
  #waiting: object[] = [];
  #page = '';
  #opened = false;

  constructor(script: HTMLScriptElement) {
    const { inbox = '', color, position, lang = navigator.language } = script.dataset;
    this.#origin = new URL(script.src).origin;
    this.#inbox = inbox;
    this.#lang = script.dataset.lang ?? '';
    this.#text = TEXT[lang.startsWith('zh') ? 'zh' : 'en'];
    this.#host.id = 'unique-cs';
    this.#root.className = position === 'left' ? 'left' : '';
    this.#settings({ ...script.dataset, ...(color ? { color } : {}) });
  }

  /** Under `<html>`, so that a page that replaces its body keeps it. */
  mount(): void {
    const shadow = this.#host.attachShadow({ mode: 'closed' });
    this.#button.append(icon(BUBBLE, 'bubble'), icon(CROSS, 'x'), this.#badge);
    this.#button.type = 'button';
    this.#root.append(this.#box, this.#button);
    shadow.append(this.#root);
    dress(shadow);
    this.#label(0);
    this.#button.onclick = () => this.#toggle();
    this.#button.onpointerenter = this.#button.onfocus = () => this.#warm();
    document.documentElement.append(this.#host);
    setInterval(() => this.#watch(), 1000);
    if (remembered(this.#inbox)) setTimeout(() => this.#warm(), IDLE);
  }

  /** `uniqueCS(verb, …)`. Unknown verbs are ignored, so that a page written for a newer loader still works. */
  call([verb, first, second]: readonly unknown[]): void {
    if (verb === 'show') this.#show();
    else if (verb === 'hide') this.#hide();
    else if (verb === 'toggle') this.#toggle();
    else if (verb === 'on' && typeof second === 'function') this.#on(String(first)).add(second as Listener);
    else if (verb === 'off') this.#off(String(first), second as Listener | undefined);
    else if (verb === 'set') this.#settings(first as Settings);
    else if (verb === 'setUser') this.#user(first as Settings);
  }

  #on(event: string): Set<Listener> {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set);
    return set;
  }

  #off(event: string, listener: Listener | undefined): void {
    if (listener) this.#on(event).delete(listener);
    else this.#listeners.delete(event);
  }

  #emit(event: string, detail?: unknown): void {
    for (const listener of this.#on(event)) listener(detail);
  }

  #toggle(): void {
    if (this.#opened) this.#hide();
    else this.#show();
  }

  #show(): void {
    if (this.#opened) return;
    this.#warm();
    this.#opened = true;
    this.#root.classList.add('open');
    this.#label(0);
    this.#tell({ do: 'show' });
    this.#frame?.focus();
    this.#emit('open');
  }

  #hide(): void {
    if (!this.#opened) return;
    this.#opened = false;
    this.#root.classList.remove('open');
    this.#label(0);
    this.#tell({ do: 'hide' });
    this.#button.focus({ preventScroll: true });
    this.#emit('close');
  }

  #user(user: Settings): void {
    this.#tell({ do: 'user', ...user });
    this.#warm();
  }

  #settings(settings: Settings): void {
    const { color } = settings;
    if (typeof color === 'string' && CSS.supports('color', color)) this.#root.style.setProperty('--c', color);
    this.#tell({ do: 'settings', settings: { ...settings } });
  }

  /** Loads the panel, hidden. */
  #warm(): void {
    if (this.#frame) return;
    const frame = document.createElement('iframe');
    frame.title = this.#text.panel;
    frame.allow = 'clipboard-write';
    frame.src = `${this.#origin}/widget/?inbox=${encodeURIComponent(this.#inbox)}&lang=${this.#lang}`;
    frame.onload = () => this.#bridge(frame);
    this.#box.append((this.#frame = frame));
  }

  /** Hands the panel one end of a channel: only our own origin can take it, and only this page has the other end. */
  #bridge(frame: HTMLIFrameElement): void {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<{ do: string; count?: number; detail?: unknown }>) => this.#heard(data);
    frame.contentWindow?.postMessage('unique-cs', this.#origin, [port2]);
    this.#port = port1;
    this.#page = '';
    this.#watch();
    for (const message of this.#waiting) port1.postMessage(message);
    if (this.#opened) port1.postMessage({ do: 'show' });
  }

  #heard(data: { do: string; count?: number; detail?: unknown }): void {
    if (data.do === 'hide') this.#hide();
    else if (data.do === 'unread') this.#label(data.count ?? 0);
    else if (data.do === 'known') remember(this.#inbox);
    else if (data.do === 'event') this.#emit('message', data.detail);
  }

  /** Settings and the user are told again to a frame that was loaded anew. */
  #tell(message: { do: string; [field: string]: unknown }): void {
    if (message.do === 'user' || message.do === 'settings') this.#waiting = [...this.#waiting, message];
    this.#port?.postMessage(message);
  }

  #label(count: number): void {
    const { open, close, unread } = this.#text;
    this.#badge.textContent = count > 99 ? '99+' : String(count);
    this.#badge.className = count > 0 ? 'on' : '';
    this.#button.setAttribute('aria-label', this.#opened ? close : count > 0 ? `${open} (${count} ${unread})` : open);
    this.#button.setAttribute('aria-expanded', String(this.#opened));
    this.#emit('unread', count);
  }

  /** Single-page apps change the address without a sign, and some throw our element away. */
  #watch(): void {
    if (!this.#host.isConnected) document.documentElement.append(this.#host);
    if (!this.#port || this.#page === location.href) return;
    const { title, referrer } = document;
    const from = this.#page || referrer;
    this.#page = location.href;
    this.#port.postMessage({ do: 'page', visit: { url: location.href, title, referrer: from } });
  }
}

function icon(path: string, name: string): SVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  const shape = document.createElementNS(SVG, 'path');
  const line = { d: path, fill: name === 'x' ? 'none' : 'currentColor', stroke: 'currentColor', 'stroke-width': name === 'x' ? '2.4' : '0' };
  for (const [key, value] of Object.entries({ ...line, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' })) shape.setAttribute(key, value);
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', name);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(shape);
  return svg;
}

/** A constructed sheet is allowed under a strict Content-Security-Policy of the page; a style element is for old Safari. */
function dress(shadow: ShadowRoot): void {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
  } catch {
    const style = document.createElement('style');
    style.textContent = STYLE;
    shadow.append(style);
  }
}

/** Whether this visitor ever wrote: then the panel is loaded without a click, for its unread count. */
function remembered(inbox: string): boolean {
  try {
    return localStorage.getItem(`unique-cs:${inbox}`) !== null;
  } catch {
    return false;
  }
}

function remember(inbox: string): void {
  try {
    localStorage.setItem(`unique-cs:${inbox}`, '1');
  } catch {
    // Storage is refused: the next page waits for the click.
  }
}
