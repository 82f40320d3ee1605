import { colourIndex, initials } from '@unique-cs/design';
import { User } from 'lucide-react';
import css from './Avatar.module.css';

interface Props {
  id: string;
  /** Empty for somebody without a name: a figure stands for them. */
  name: string;
  size?: 'small' | 'normal' | 'large';
  online?: boolean | undefined;
}

export function Avatar({ id, name, size = 'normal', online }: Props) {
  return (
    <span className={css.avatar} data-hue={colourIndex(id, 8)} data-size={size} aria-hidden="true">
      {name ? initials(name) : <User size={size === 'small' ? 13 : 16} />}
      {online && <span className={css.online} />}
    </span>
  );
}
