import { render } from 'preact';
import { Bridge } from './bridge';
import { words, type Words } from './i18n';
import { Panel } from './panel';
import { App } from './view/app';

/** `/chat/<inbox key>` is the panel as a page; `/widget/?inbox=<inbox key>` is the panel in the loader's frame. */
const parameters = new URLSearchParams(location.search);
const path = /^\/chat\/([^/]+)/.exec(location.pathname)?.[1];
const inbox = path === undefined ? (parameters.get('inbox') ?? '') : decodeURIComponent(path);
const language = parameters.get('lang');
const bridge = path === undefined && window.parent !== window ? { bridge: new Bridge() } : {};

function open(spoken: Words): void {
  document.documentElement.lang = spoken.locale;
  document.documentElement.classList.toggle('page', !('bridge' in bridge));
  render(<App panel={new Panel({ inbox, words: spoken, ...bridge })} />, document.getElementById('app') ?? document.body);
}

void words(language ? [language] : navigator.languages).then(open);
