// fastify with one route that parses JSON and answers 202: the ceiling for a server built on it.
// `node --import tsx test/bench/fastify-server.ts` prints {"port":N} and ends with its standard input.
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';

const server = fastify({ bodyLimit: 31_457_280 });
server.post('/v3/mail/send', async (_request, reply) => reply.code(202).send(''));
await server.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ port: (server.server.address() as AddressInfo).port }));
process.stdin.on('end', () => process.exit(0)).resume();
