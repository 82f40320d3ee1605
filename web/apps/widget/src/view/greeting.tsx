import type { JSX } from 'preact';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import { Arrow } from './icons';

/** The first screen: a word and some quick questions rather than a form. */
export function Greeting({ panel, words: { t } }: { panel: Panel; words: Words }): JSX.Element {
  const questions = panel.settings.questions ?? [t('question1'), t('question2'), t('question3')];
  return (
    <main class="greeting">
      <p class="hello">{panel.settings.greeting ?? t('greeting')}</p>
      <ul>
        {questions.map((question) => (
          <li key={question}>
            <button type="button" onClick={() => panel.say(question)}>
              <span>{question}</span>
              <Arrow />
            </button>
          </li>
        ))}
      </ul>
    </main>
  );
}
