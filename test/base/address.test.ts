// Where a client is: which addresses count as one client, and as one network.
import { clientNetworks } from '../../src/base/address.js';

it.each([
  ['192.0.2.77', '192.0.2.77', '192.0.2.0/24'],
  ['::ffff:192.0.2.77', '192.0.2.77', '192.0.2.0/24'],
  ['2001:db8:1:2ff:3:4:5:6', '2001:db8:1:2ff::/64', '2001:db8:1::/48'],
  ['2001:db8:1:2ff::/64', '2001:db8:1:2ff::/64', '2001:db8:1::/48'],
  ['fe80::1%eth0', 'fe80::/64', 'fe80::/48'],
  ['no address', 'unknown', 'unknown'],
])('%s is the client %s in the network %s', (text, address, network) => {
  expect(clientNetworks(text)).toEqual({ address, network });
});
