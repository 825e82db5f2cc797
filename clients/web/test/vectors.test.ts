// Every command of the contract, as bytes and as JSON, reads and writes as src/api/vectors says, which never changes.
import { fromBinary, fromJson, toBinary, toJson, type DescMessage } from '@bufbuild/protobuf';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { file_api_client_chat } from '../src/wire/gen/api/client/chat_pb';
import { file_api_client_friend } from '../src/wire/gen/api/client/friend_pb';
import { file_api_client_group } from '../src/wire/gen/api/client/group_pb';
import { file_api_client_login } from '../src/wire/gen/api/client/login_pb';
import { file_api_client_sync } from '../src/wire/gen/api/client/sync_pb';
import { command } from '../src/wire/gen/rpc/options_pb';
import { getOption, hasOption } from '@bufbuild/protobuf';

const folder = new URL('../../../src/api/vectors/', import.meta.url);
const types = new Map<number, { input: DescMessage; output: DescMessage }>();
for (const file of [
  file_api_client_login,
  file_api_client_friend,
  file_api_client_chat,
  file_api_client_sync,
  file_api_client_group,
])
  for (const service of file.services)
    for (const method of service.methods)
      if (hasOption(method, command)) types.set(getOption(method, command).id, method);
const bytes_of = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (two) => parseInt(two, 16));
const hex_of = (bytes: Uint8Array): string => Array.from(bytes, (one) => one.toString(16).padStart(2, '0')).join('');

describe('vectors', () => {
  const vectors = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')));
  it('there is one for every command', () => {
    expect(vectors.map((one) => one.cmdid).sort()).toEqual([...types.keys()].sort());
  });
  for (const one of vectors)
    it(`${one.path} reads and writes`, () => {
      const { input, output } = types.get(one.cmdid)!;
      for (const [type, hex, json] of [
        [input, one.request_hex, one.request],
        [output, one.response_hex, one.response],
      ] as const) {
        expect(toJson(type, fromBinary(type, bytes_of(hex)))).toEqual(json);
        expect(hex_of(toBinary(type, fromJson(type, json)))).toBe(hex);
      }
    });
});
