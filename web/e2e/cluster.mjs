// Two real nodes over Redis and MariaDB behind HAProxy, whose parts can be hurt: tests/support/stand.py has them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FIRST, PYTHON, ROOT, Site } from './server.mjs';

export class Cluster extends Site {
  /** `settings` are environment variables of the nodes. `missing` says why this machine cannot have a cluster. */
  static async start(settings = {}) {
    const words = Object.entries({ ...FIRST, ...settings }).map((pair) => pair.join('='));
    const stand = spawn(PYTHON, ['-m', 'tests.support.stand', ...words], { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: stand.stdout })[Symbol.asyncIterator]();
    const { value } = await lines.next();
    if (value === undefined) throw new Error('the cluster did not start');
    const { url, nodes, missing } = JSON.parse(value);
    return Object.assign(new Cluster(url), { stand, lines, nodes, missing });
  }

  /** `await cluster.tell('node-0 kill')`; the parts are node-0, node-1, redis and mariadb. */
  async tell(order) {
    this.stand.stdin.write(`${order}\n`);
    const { value } = await this.lines.next();
    if (JSON.parse(value) !== 'ok') throw new Error(JSON.parse(value));
  }

  async stop() {
    const ended = once(this.stand, 'exit');
    this.stand.stdin.end();
    await ended;
  }
}
