import type { ButtonHTMLAttributes } from 'react';
import css from './Button.module.css';

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: 'plain' | 'primary' | 'quiet' | 'danger' | 'note';
  size?: 'small' | 'normal' | 'large';
}

export function Button({ look = 'plain', size = 'normal', className, type = 'button', ...rest }: Props) {
  return <button type={type} className={[css.button, className].filter(Boolean).join(' ')} data-look={look} data-size={size} {...rest} />;
}

interface IconProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  label: string;
  pressed?: boolean | undefined;
}

/** A square button with a picture; the label is its name and its tooltip. */
export function IconButton({ label, pressed, className, type = 'button', ...rest }: IconProps) {
  const name = [css.icon, className].filter(Boolean).join(' ');
  return <button type={type} className={name} aria-label={label} title={label} aria-pressed={pressed} {...rest} />;
}

export function Keys({ keys }: { keys: readonly string[] }) {
  return (
    <span className={css.keys}>
      {keys.map((key) => (
        <kbd key={key}>{key}</kbd>
      ))}
    </span>
  );
}
