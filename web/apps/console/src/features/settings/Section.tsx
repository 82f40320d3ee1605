import type { ReactNode } from 'react';
import css from './Settings.module.css';

interface Props {
  title: string;
  text?: string;
  /** A button beside the title. */
  action?: ReactNode;
  children: ReactNode;
  id?: string;
}

export function Section({ title, text, action, children, id }: Props) {
  return (
    <section className={css.section} id={id}>
      <div className={css.head}>
        <h2>{title}</h2>
        {action}
      </div>
      {text && <p className={css.text}>{text}</p>}
      <div className={css.box}>{children}</div>
    </section>
  );
}
