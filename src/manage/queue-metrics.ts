// How much is in the queue, asked of the spool whenever Prometheus asks: it is one figure for all processes.
import { Gauge, Registry } from 'prom-client';
import type { SpoolDesk } from '../spool/spool.js';

export class QueueMetrics {
  readonly #registry = new Registry();

  constructor(desk: SpoolDesk) {
    new Gauge({
      name: 'postern_queue_messages',
      help: 'Messages in the queue by state',
      labelNames: ['state'],
      registers: [this.#registry],
      async collect() {
        for (const [state, count] of Object.entries(await desk.counts())) this.set({ state }, Number(count));
      },
    });
  }

  /** In the Prometheus text format; nothing while the store is away. */
  text(): Promise<string> {
    return this.#registry.metrics().catch(() => '');
  }
}
