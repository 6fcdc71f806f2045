// The comparison at the end of a round: what clients were told, what arrived, what the store still has. Each check is
// one sentence of docs/reliability.md, and each thing that is wrong becomes a sentence for whoever has to find out why.
import type { StoredMessage } from '../../src/message/stored-message.js';
import { digestOf, type Arrival, type Ledger, type Submitted } from './ledger.js';

export interface Counts {
  submitted: number;
  accepted: number;
  /** 4yz, before or behind the final dot. */
  temporary: number;
  permanent: number;
  unanswered: number;
  cutOff: number;
  /** Of accepted messages, recipients. */
  recipients: number;
  arrived: number;
  inQueue: number;
  setAside: number;
  reportedBack: number;
  lost: number;
  /** Messages that were not answered 250 and arrived all the same: the client's end of the doubt. */
  unconfirmedArrived: number;
  duplicatesMarked: number;
  duplicatesUnmarked: number;
}

export interface Verdict {
  counts: Counts;
  /** Empty when everything is as promised. */
  wrongs: string[];
}

/** What is in the store: by the client's id, and by its own. */
export interface Stored {
  find(queueId: string): Promise<StoredMessage | undefined>;
  /** Messages that have not ended. */
  waiting: StoredMessage[];
}

export async function judge(ledger: Ledger, stored: Stored): Promise<Verdict> {
  const { submitted, arrivals } = ledger;
  const there = recipientsOf(arrivals.filter(({ id }) => id !== ''));
  const wrongs = [...ledger.complaints, ...wrongArrivals(ledger), ...wrongBytes(ledger)];
  const duplicates = await judgeDuplicates(arrivals, stored);
  const waiting = recipientsWaiting(stored.waiting);
  const reported = reportedRecipients(arrivals, stored.waiting);
  const kinds = { arrived: 0, inQueue: 0, reportedBack: 0, lost: 0 };
  for (const { id, to } of ledger.accepted) {
    for (const recipient of to) {
      const kind = there.has(recipient)
        ? 'arrived'
        : waiting.has(recipient)
          ? 'inQueue'
          : reported.has(recipient)
            ? 'reportedBack'
            : 'lost';
      kinds[kind]++;
      if (kind === 'lost') wrongs.push(`${id}: answered 250, and <${recipient}> has nothing of it`);
    }
  }
  const fates = (wanted: (entry: Submitted) => boolean): number => submitted.filter(wanted).length;
  const ids = new Set(arrivals.map(({ id }) => id));
  return {
    counts: {
      submitted: submitted.length,
      accepted: ledger.accepted.length,
      temporary: fates(({ reply }) => reply.startsWith('4')),
      permanent: fates(({ fate }) => fate === 'permanent'),
      unanswered: fates(({ fate }) => fate === 'unanswered'),
      cutOff: fates(({ fate, reply }) => fate === 'unfinished' && !reply.startsWith('4')),
      recipients: ledger.accepted.reduce((sum, { to }) => sum + to.length, 0),
      ...kinds,
      setAside: stored.waiting.filter(({ damage }) => damage !== '').length,
      unconfirmedArrived: fates(({ fate, id }) => fate !== 'accepted' && ids.has(id)),
      duplicatesMarked: duplicates.marked,
      duplicatesUnmarked: duplicates.unmarked.length,
    },
    wrongs: [...wrongs, ...duplicates.unmarked],
  };
}

const recipientsOf = (arrivals: Arrival[]): Set<string> => new Set(arrivals.flatMap(({ recipients }) => recipients));

const recipientsWaiting = (waiting: StoredMessage[]): Set<string> =>
  new Set(
    waiting.flatMap(({ record, recipients }) =>
      record.envelope.to.filter((_address, index) => recipients[index]?.state === 'pending'),
    ),
  );

/** A report that waits in the queue counts: it is durable, as any message is. */
function reportedRecipients(arrivals: Arrival[], waiting: StoredMessage[]): Set<string> {
  const reports = arrivals.filter(({ mailFrom }) => mailFrom === '').map(({ data }) => data.toString('latin1'));
  const named = reports.flatMap((text) =>
    [...text.matchAll(/^Final-Recipient: rfc822; (\S+)\r$/gm)].map(([, to]) => to!),
  );
  return new Set([...named, ...recipientsWaiting(waiting.filter(({ record }) => record.reportOf))]);
}

/** Nothing arrives that was refused for good, and nothing that a client did not end. */
function wrongArrivals({ submitted, arrivals }: Ledger): string[] {
  const byId = new Map(submitted.map((entry) => [entry.id, entry]));
  return arrivals.flatMap(({ id, mailFrom, recipients }) => {
    if (id === '') return mailFrom === '' ? [] : ['something arrived that nobody sent'];
    const entry = byId.get(id);
    if (!entry) return [`${id}: arrived, and was submitted in no round that is known`];
    const strangers = recipients.filter((recipient) => !entry.to.includes(recipient));
    return [
      ...(entry.fate === 'permanent' ? [`${id}: answered ${entry.reply}, and arrived`] : []),
      ...(entry.fate === 'unfinished' ? [`${id}: its client never ended it (${entry.reply}), and it arrived`] : []),
      ...(strangers.length ? [`${id}: arrived for <${strangers.join('>, <')}>, for whom it was not`] : []),
    ];
  });
}

/** Trace fields stand in front of the octets of the client; these are untouched. */
function wrongBytes({ submitted, arrivals }: Ledger): string[] {
  const byId = new Map(submitted.map((entry) => [entry.id, entry]));
  return arrivals.flatMap(({ id, data }) => {
    const entry = byId.get(id);
    if (!entry || digestOf(data.subarray(-entry.size)) === entry.digest) return [];
    return [`${id}: arrived with other octets than it was sent with (${data.length}, of the client's ${entry.size})`];
  });
}

/** Before the n-th arrival at a recipient there must be n - 1 marks of doubt in the history of the message. */
async function judgeDuplicates(arrivals: Arrival[], stored: Stored): Promise<{ marked: number; unmarked: string[] }> {
  const copies = new Map<string, Arrival[]>();
  for (const arrival of arrivals) {
    for (const recipient of arrival.recipients) {
      const key = `${arrival.id || arrival.queueId} ${recipient}`;
      copies.set(key, [...(copies.get(key) ?? []), arrival]);
    }
  }
  let marked = 0;
  const unmarked: string[] = [];
  for (const [key, list] of copies) {
    if (list.length < 2) continue;
    const [id = '', recipient = ''] = key.split(' ');
    const marks = await marksOf(list, recipient, stored);
    list.forEach(({ at }, number) => {
      if (number === 0) return;
      if (marks.filter((mark) => mark <= at).length >= number) marked++;
      else unmarked.push(`${id}: copy ${number + 1} for <${recipient}> came without a mark of doubt before it`);
    });
  }
  return { marked, unmarked };
}

/** When the recipient was marked in doubt, milliseconds since the epoch. Copies with different queue ids have none. */
async function marksOf(list: Arrival[], recipient: string, stored: Stored): Promise<number[]> {
  const queueIds = new Set(list.map(({ queueId }) => queueId));
  const message = queueIds.size === 1 ? await stored.find(list[0]!.queueId) : undefined;
  const doubts = (message?.events ?? []).filter(({ type }) => type === 'in-doubt');
  return doubts.filter(({ recipients }) => !recipients || recipients.includes(recipient)).map(({ at }) => at);
}
