import { Component, type ReactNode } from 'react';
import { language } from '../i18n';
import { Button } from './Button';
import css from './CrashGuard.module.css';

/** Says that a screen failed, and offers the way out, instead of leaving an empty page. */
export class CrashGuard extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    const { t } = language();
    return (
      <main className={css.crash} role="alert">
        <h1>{t('crash.title')}</h1>
        <p>{t('crash.text')}</p>
        <Button look="primary" onClick={() => location.reload()}>{t('connection.reload')}</Button>
      </main>
    );
  }
}
