// The figures of a process, for Prometheus. Every one is made here, so that none is counted and never shown.
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';

export class MailMetrics {
  readonly registry = new Registry();

  readonly connections = this.#gauge('postern_smtp_connections', 'Open SMTP connections');
  readonly logins = this.#counter('postern_logins_total', 'AUTH and Bearer attempts by verdict', ['verdict']);
  readonly loginBlocks = this.#counter('postern_login_blocks_total', 'Times that failed logins blocked a client', [
    'scope',
  ]);
  readonly delayedLogins = this.#gauge('postern_delayed_logins', 'Failed logins that wait for their refusal');
  readonly accepted = this.#counter('postern_messages_accepted_total', 'Messages answered with 250 or 202', []);
  readonly refused = this.#counter('postern_refusals_total', 'Refusals by reason', ['reason']);
  readonly recipients = this.#counter('postern_recipients_total', 'Recipients by what an attempt came to', ['outcome']);
  readonly bounces = this.#counter(
    'postern_bounces_total',
    'Reports to senders: failed, delayed, and where asked for, delivered',
    [],
  );
  readonly redeliveries = this.#counter('postern_redeliveries_total', 'Attempts for recipients in doubt', []);
  readonly setAside = this.#counter('postern_messages_set_aside_total', 'Messages that could not be read', []);
  readonly hopConnections = this.#gauge('postern_next_hop_connections', 'Open connections to next hops');

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
  }
}
