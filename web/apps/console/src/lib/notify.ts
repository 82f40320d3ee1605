import { language } from '../i18n';
import { contactName, preview } from './say';
import type { TimelineEvent } from '../model';
import type { Entry } from '../state/state';
import { preferences } from './preferences';
import { go } from './route';

/** What is older than this when it arrives is a replay, and makes no noise. */
const FRESH_MS = 60_000;
const QUIET_MS = 2_500;

let audio: AudioContext | null = null;
let lastSound = 0;

function tone(context: AudioContext, frequency: number, from: number): void {
  const [oscillator, gain] = [context.createOscillator(), context.createGain()];
  oscillator.type = 'sine';
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0, from);
  gain.gain.linearRampToValueAtTime(0.16, from + 0.015);
  gain.gain.exponentialRampToValueAtTime(0.0005, from + 0.32);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(from);
  oscillator.stop(from + 0.34);
}

/** Two short rising tones; silent until the browser has seen a gesture of the user. */
export function playSound(): void {
  audio ??= new AudioContext();
  if (audio.state === 'suspended') void audio.resume();
  const start = audio.currentTime + 0.01;
  tone(audio, 659.25, start);
  tone(audio, 987.77, start + 0.11);
}

/** Runs `action` in only one of several windows of this browser. */
function once(name: string, action: () => void): void {
  if (!('locks' in navigator)) return action();
  void navigator.locks.request(`unique-cs:${name}`, { ifAvailable: true }, async (lock) => {
    if (!lock) return;
    action();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  });
}

function sound(): void {
  const now = performance.now();
  if (now - lastSound < QUIET_MS) return;
  lastSound = now;
  playSound();
}

function show(event: TimelineEvent, entry: Entry, waiting: boolean): void {
  const { t } = language();
  const name = contactName(t, entry.contact);
  const title = t(waiting ? 'notify.waiting' : 'notify.title', { name });
  const note = new Notification(title, { body: preview(t, event), tag: entry.id, icon: '/console/icon.svg', silent: true });
  note.onclick = () => {
    window.focus();
    go({ page: 'desk', conversation: entry.id });
    note.close();
  };
}

/** Tells of a visitor's message in our own or in a waiting conversation while we look elsewhere. */
export function notifyMessage(event: TimelineEvent, entry: Entry, me: string, now: number): void {
  const waiting = entry.assignee === null;
  const ours = waiting || entry.assignee?.id === me;
  const watching = document.hasFocus() && location.hash === `#/c/${entry.id}`;
  if (!ours || watching || now - event.time > FRESH_MS) return;
  const { sound: audible, desktop } = preferences();
  once(`notify:${event.id}`, () => {
    if (audible) sound();
    if (desktop && !document.hasFocus() && notificationState() === 'granted') show(event, entry, waiting);
  });
}

export function notificationState(): NotificationPermission | 'unsupported' {
  return 'Notification' in window && isSecureContext ? Notification.permission : 'unsupported';
}
