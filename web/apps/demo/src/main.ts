import { products, type Product } from './products';
import { locale, price, text } from './texts';

/** A shop page as any shop has one. The last function is all that a shop needs to do for the widget. */
const bag = new Map<string, number>();
const SVG = 'viewBox="0 0 240 240" aria-hidden="true"';
const BAG = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round" aria-hidden="true"><path d="M5 8h14l1 12H4zM8.5 8a3.5 3.5 0 0 1 7 0"/></svg>';

declare global {
  interface Window {
    uniqueCS?: ((...call: unknown[]) => void) & { q?: unknown[][] };
  }
}

/** Escapes nothing: every text here is our own. */
function html(strings: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: strings }, ...values);
}

function header(): string {
  const links = text.nav.map((name) => html`<a href="#collection">${name}</a>`).join('');
  return html`<p class="note">${text.note.replace('{console}', html`<a href="/console/">${text.console}</a>`)}</p>
    <header><a class="logo" href="#">${text.shop}</a><nav>${links}</nav><button type="button" class="bag" data-bag>${BAG}<span>${text.bag}</span><b>0</b></button></header>`;
}

function hero(): string {
  const [lamp] = products;
  return html`<section class="hero"><div><p class="season">${text.season}</p><h1>${text.headline}</h1><p class="lead">${text.lead}</p>
      <p class="doors"><a class="button" href="#collection">${text.browse}</a><button type="button" class="button quiet" data-ask>${text.ask}</button></p></div>
    <a class="picture" href="#lamp" aria-label="${lamp?.name ?? ''}"><svg ${SVG}><circle cx="150" cy="112" r="74" fill="#f7d88e" opacity=".35"/>${lamp?.drawing ?? ''}</svg></a></section>`;
}

function tile(product: Product): string {
  return html`<li><a class="tile ${product.tile}" href="#${product.id}"><svg ${SVG}>${product.drawing}</svg></a>
    <h3><a href="#${product.id}">${product.name}</a></h3><p>${product.maker}</p>
    <div class="buy"><span>${price(product.euros)}</span><button type="button" data-add="${product.id}">${text.add}</button></div></li>`;
}

function home(): string {
  const promises = text.promise.map(([title, detail]) => html`<li><b>${title ?? ''}</b><span>${detail ?? ''}</span></li>`).join('');
  return html`${hero()}<section class="collection" id="collection"><div class="title"><h2>${text.collection}</h2><p>${text.count}</p></div>
    <ul class="grid">${products.map(tile).join('')}</ul></section><ul class="promise">${promises}</ul>`;
}

function detail(product: Product): string {
  return html`<section class="detail"><div class="tile ${product.tile}"><svg ${SVG}>${product.drawing}</svg></div>
    <div><a class="back" href="#collection">← ${text.back}</a><h1>${product.name}</h1><p class="maker">${product.maker}</p><p class="price">${price(product.euros)}</p><p class="lead">${product.about}</p>
      <p class="doors"><button type="button" class="button" data-add="${product.id}">${text.add}</button><button type="button" class="button quiet" data-ask>${text.askAbout}</button></p></div></section>`;
}

/** One page for each piece, without loading: the widget notices the new address by itself. */
function show(): void {
  const product = products.find(({ id }) => `#${id}` === location.hash);
  const main = document.querySelector('main');
  if (!main) return;
  main.innerHTML = product ? detail(product) : home();
  document.title = product ? `${product.name} · ${text.shop}` : text.shop;
  if (location.hash === '#collection') document.getElementById('collection')?.scrollIntoView();
  else scrollTo({ top: 0, behavior: 'instant' });
}

function add(button: HTMLElement, id: string): void {
  bag.set(id, (bag.get(id) ?? 0) + 1);
  const count = [...bag.values()].reduce((sum, value) => sum + value, 0);
  const badge = document.querySelector('[data-bag] b');
  if (badge) badge.textContent = String(count);
  document.querySelector('[data-bag]')?.classList.add('full');
  button.textContent = text.added;
  setTimeout(() => (button.textContent = text.add), 1600);
}

function clicked(event: MouseEvent): void {
  const button = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-add],[data-ask]') : null;
  if (button?.dataset.add) add(button, button.dataset.add);
  else if (button) window.uniqueCS?.('show');
}

/** A click before the loader is there waits for it. */
function queueCalls(): void {
  const queue: unknown[][] = [];
  window.uniqueCS ??= Object.assign((...call: unknown[]) => void queue.push(call), { q: queue });
}

/** The tag that every shop puts on its pages; here with the key of the first inbox. */
async function addWidget(): Promise<void> {
  const response = await fetch('/demo/config.json');
  const { inbox } = (await response.json()) as { inbox: string };
  const script = document.createElement('script');
  script.async = true;
  script.src = '/widget.js';
  script.dataset.inbox = inbox;
  document.head.append(script);
}

document.documentElement.lang = locale;
document.body.innerHTML = html`${header()}<main></main><footer><span>${text.shop}</span><span>${text.foot}</span></footer>`;
show();
addEventListener('hashchange', show);
document.addEventListener('click', clicked);
queueCalls();
void addWidget();
