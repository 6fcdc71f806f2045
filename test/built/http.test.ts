// The HTTP listener as load balancers, Prometheus and passers-by meet it.
import { request } from 'node:http';
import { submitOnce } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue } from '../support/dialogue.js';

let server: ReadyPostern;
beforeAll(async () => {
  server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
});

interface Answer {
  status: number;
  type: string;
  body: string;
}

/** The path as it is, which fetch would tidy up. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const { hostname, port } = new URL(server.http);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, method, headers }, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += String(chunk)));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe.each(['/healthz', '/readyz', '/metrics'])('%s', (path) => {
  it.each([path, `/${path}`, `${path}?verbose=1`, `//${path}?url=http://a//b`])(
    'answers 200 to %s',
    async (spelled) => {
      expect((await get(spelled)).status).toBe(200);
    },
  );

  it('answers a client that names a type for the body it does not send', async () => {
    expect((await get(path, { 'Content-Type': 'application/json' })).status).toBe(200);
    expect((await get(path, { 'Content-Type': 'text/nonsense' })).status).toBe(200);
  });

  it('answers HEAD', async () => {
    expect(await get(path, {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
  });
});

it.each(['/nothing', '//nothing//here', '/healthz/more', '/v4/mail/send', '/%00', '/..%2f..%2fetc%2fpasswd'])(
  'answers %s with 404 and JSON that says nothing of the inside',
  async (path) => {
    const { status, type, body } = await get(path);

    expect(status).toBe(404);
    expect(type).toMatch(/^application\/json/);
    expect(JSON.parse(body)).toEqual({ errors: [{ field: null, message: expect.any(String) as string }] });
    expect(body).not.toMatch(/node_modules|\.js|stack/);
  },
);

describe('/metrics', () => {
  const value = (text: string, name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (sum, [, each]) => sum + Number(each),
      0,
    );

  it('counts what all workers did together', async () => {
    const before = (await get('/metrics')).body;
    await Promise.all(Array.from({ length: 6 }, () => submitOnce(server.smtp, server.key())));
    const dialogue = await openDialogue(server.smtp);
    await dialogue.ehlo();
    await dialogue.authPlain('apikey', 'wrong');
    const { body, type } = await get('/metrics');
    await dialogue.close();

    expect(type).toMatch(/^text\/plain/);
    const counted = (name: string) => value(body, name) - value(before, name);
    expect(counted('postern_messages_accepted_total')).toBe(6);
    expect(counted('postern_logins_total')).toBe(7);
    expect(counted('postern_refusals_total')).toBe(1);
  });

  it('is well formed: every figure has its type, and none comes twice', async () => {
    const { body } = await get('/metrics');
    const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const types = [...body.matchAll(/^# TYPE (\S+) \S+$/gm)].map(([, name]) => name!);

    expect(new Set(types).size).toBe(types.length);
    expect(lines.every((line) => /^[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?$/.test(line))).toBe(true);
    const series = lines.map((line) => line.replace(/ \S+$/, ''));
    expect(new Set(series).size).toBe(series.length);
    const untyped = series.filter((each) => !types.some((name) => each.startsWith(name)));
    expect(untyped).toEqual([]);
  });

  it('shows the queue, once for all processes', async () => {
    const { body } = await get('/metrics');

    expect(body).toMatch(/^postern_queue_messages\{/m);
  });
});
