import { Launcher } from './launcher';

/** `<script async src="https://HOST/widget.js" data-inbox="KEY"></script>` and `uniqueCS('verb', …)`, which queues until this runs. */
type Call = readonly unknown[];
type Queue = ((...call: unknown[]) => void) & { q?: Call[] };

declare global {
  interface Window {
    uniqueCS?: Queue;
  }
}

function boot(script: HTMLScriptElement): void {
  const queued = window.uniqueCS?.q ?? [];
  const launcher = new Launcher(script);
  window.uniqueCS = (...call) => launcher.call(call);
  launcher.mount();
  for (const call of queued) launcher.call(Array.from(call));
}

const script = document.currentScript ?? document.querySelector('script[data-inbox][src*="widget.js"]');
// A page that loads the tag twice keeps its first button.
if (script instanceof HTMLScriptElement && script.dataset.inbox && !document.getElementById('unique-cs')) boot(script);
