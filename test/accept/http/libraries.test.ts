// SendGrid's official libraries and those of its time, from npm and unmodified: nothing but the base URL is set.
import { MailService } from '@sendgrid/mail';
import { Client } from '@sendgrid/client';
import { createTransport, type Transport } from 'nodemailer';
import { kept, type Json } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

function clientWith(apiKey: string): Client {
  const client = new Client();
  client.setApiKey(apiKey);
  client.setDefaultRequest('baseUrl', worker.httpUrl);
  return client;
}

/** The newest message, as kept. */
const newest = async () => kept(worker, (await worker.desk.list(1))[0]!.record.id);

const png = Buffer.from('89504e470d0a1a0a', 'hex');

describe('@sendgrid/mail', () => {
  it('sends, and reads the queue id', async () => {
    const service = new MailService();
    service.setClient(clientWith(key));
    const [answer] = await service.send({
      to: [{ email: 'you@example.com', name: 'You' }],
      from: 'App <app@example.com>',
      replyTo: 'help@example.com',
      subject: 'From the library',
      text: 'plain',
      html: '<b>rich</b>',
      categories: ['a'],
      customArgs: { order: '1' },
      attachments: [
        {
          content: png.toString('base64'),
          filename: 'logo.png',
          type: 'image/png',
          disposition: 'inline',
          ...{ content_id: 'logo' },
        },
      ],
      trackingSettings: { clickTracking: { enable: true } },
    });

    expect(answer.statusCode).toBe(202);
    const { parsed } = await kept(worker, (answer.headers as Record<string, string>)['x-message-id']!);
    expect(parsed).toMatchObject({ subject: 'From the library', text: 'plain', html: '<b>rich</b>' });
    expect(parsed.attachments[0]).toMatchObject({ cid: 'logo', content: png });
    const line = await worker.log.line('message accepted', ({ ignored }) => ignored !== undefined);
    expect(line.ignored).toEqual(['tracking_settings.click_tracking']);
  });

  it('sends to many, each for itself', async () => {
    const service = new MailService();
    service.setClient(clientWith(key));
    const to = ['a@example.com', 'b@example.com', 'c@example.com'];
    const before = (await worker.desk.list(100)).length;
    await service.sendMultiple({ to, from: 'app@example.com', subject: 's', text: 't', substitutions: { x: 'y' } });

    const messages = (await worker.desk.list(100)).slice(0, -before || undefined);
    expect(messages.map(({ record }) => record.envelope.to).sort()).toEqual(to.map((each) => [each]));
  });

  it('sees why it was refused', async () => {
    const service = new MailService();
    service.setClient(clientWith(key));
    const refused = service.send({ to: 'you', from: 'app@example.com', subject: 's', text: 't' });

    await expect(refused).rejects.toMatchObject({
      code: 400,
      response: { body: { errors: [expect.objectContaining({ field: 'personalizations.0.to.0.email' })] } },
    });
  });
});

it('@sendgrid/client sends a body of its own', async () => {
  const body = {
    personalizations: [{ to: [{ email: 'you@example.com' }] }],
    from: { email: 'app@example.com' },
    subject: 's',
    content: [{ type: 'text/plain', value: 't' }],
  };
  const [answer] = await clientWith(key).request({ url: '/v3//mail/send', method: 'POST', body });

  expect(answer.statusCode).toBe(202);
});

it('@sendgrid/client makes a batch, and cancels what @sendgrid/mail sent with it', async () => {
  const client = clientWith(key);
  const service = new MailService();
  service.setClient(client);
  const [made] = await client.request({ url: '/v3/mail/batch', method: 'POST' });
  const { batch_id: batchId } = made.body as { batch_id: string };
  const mail = { to: 'you@example.com', from: 'app@example.com', subject: 's', text: 't' };
  const sendAt = Math.floor(Date.now() / 1000) + 3600;
  const [sent] = await service.send({ ...mail, sendAt, batchId });
  const body = { batch_id: batchId, status: 'cancel' };
  const [held] = await client.request({ url: '/v3/user/scheduled_sends', method: 'POST', body });
  const [list] = await client.request({ url: `/v3/user/scheduled_sends/${batchId}`, method: 'GET' });
  const [gone] = await client.request({ url: `/v3/user/scheduled_sends/${batchId}`, method: 'DELETE' });

  expect([sent.statusCode, held.statusCode, list.body, gone.statusCode]).toEqual([202, 201, [body], 204]);
});

it('@sendgrid/mail reads why mail that needs a template is refused', async () => {
  const service = new MailService();
  service.setClient(clientWith(key));
  const mail = { to: 'you@example.com', from: 'app@example.com', templateId: 'd-1', dynamicTemplateData: { a: 1 } };
  const errors = expect.arrayContaining([expect.objectContaining({ field: 'template_id' })]) as unknown;

  await expect(service.send(mail)).rejects.toMatchObject({ code: 400, response: { body: { errors } } });
});

describe('sendgrid 1.x', () => {
  type OldClient = { send(mail: Json, done: (error: Error | null, json: unknown) => void): void };
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const sendgrid = require('sendgrid') as (...args: unknown[]) => OldClient;
  const options = () => {
    const { hostname, port } = new URL(worker.httpUrl);
    return { protocol: 'http', host: hostname, port };
  };
  const send = (client: OldClient, mail: Json) =>
    new Promise((resolve, reject) => client.send(mail, (error, json) => (error ? reject(error) : resolve(json))));

  it.each([
    ['a key', () => sendgrid(key, options())],
    ['user name and password', () => sendgrid('apikey', key, options())],
  ])('sends with %s', async (_name, client) => {
    const mail = {
      ...{ to: ['one@example.com', 'two@example.com'], toname: ['One', 'Two'], from: 'app@example.com' },
      ...{ subject: 'Old', text: 'plain', html: '<img src="cid:logo">', bcc: ['hidden@example.com'] },
      files: [{ filename: 'logo.png', content: png, contentType: 'image/png', cid: 'logo' }],
    };
    expect(await send(client(), mail)).toEqual({ message: 'success' });
    const { parsed, to } = await newest();
    expect(to).toEqual(['one@example.com', 'two@example.com', 'hidden@example.com']);
    expect(parsed).toMatchObject({ subject: 'Old', text: 'plain' });
    expect(parsed.attachments[0]).toMatchObject({ filename: 'logo.png', cid: 'logo', content: png });
  });

  it('sees why it was refused', async () => {
    const refused = send(sendgrid('wrong', options()), {
      to: 'a@example.com',
      from: 'b@example.com',
      subject: 's',
      text: 't',
    });

    await expect(refused).rejects.toThrow('The provided authorization grant is invalid, expired, or revoked');
  });
});

describe('nodemailer', () => {
  const mail = { from: 'App <app@example.com>', to: 'You <you@example.com>', subject: 'By nodemailer', text: 'plain' };

  it('sends through nodemailer-sendgrid', async () => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const make = require('nodemailer-sendgrid') as (options: { apiKey: string }) => Transport<unknown>;
    const own = require.resolve('@sendgrid/mail', { paths: [require.resolve('nodemailer-sendgrid')] });
    const transport = createTransport(make({ apiKey: key }));
    const { default: service } = (await import(own)) as { default: { client: Client } };
    service.client.setDefaultRequest('baseUrl', worker.httpUrl);
    await transport.sendMail({
      ...mail,
      attachments: [{ filename: 'a.png', content: png, cid: 'x' }],
      html: '<b>rich</b>',
    });

    const { parsed } = await newest();
    expect(parsed).toMatchObject({ subject: 'By nodemailer', text: 'plain', html: '<b>rich</b>' });
    expect(parsed.attachments[0]).toMatchObject({ filename: 'a.png', content: png });
  });

  it('sends through nodemailer-sendgrid-transport', async () => {
    type OldTransport = Transport<unknown> & { sendgrid: { options: { uri: string } } };
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const make = require('nodemailer-sendgrid-transport') as (options: Json) => OldTransport;
    const transport = make({ auth: { api_key: key } });
    transport.sendgrid.options.uri = `${worker.httpUrl}/api/mail.send.json`;
    await createTransport(transport).sendMail({ ...mail, attachments: [{ filename: 'a.txt', content: 'ä' }] });

    const { parsed } = await newest();
    expect(parsed).toMatchObject({ subject: 'By nodemailer', text: 'plain' });
    expect(parsed.attachments[0]).toMatchObject({ filename: 'a.txt', content: Buffer.from('ä') });
  });
});
