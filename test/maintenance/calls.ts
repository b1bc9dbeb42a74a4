// The Maintenance and KV calls of these tests, by name, on the raw wire codecs.

import {
  AlarmRequest,
  AlarmResponse,
  CompactionRequest,
  CompactionResponse,
  DefragmentRequest,
  DefragmentResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";

const kv = "/etcdserverpb.KV/";
const maintenance = "/etcdserverpb.Maintenance/";
const deadlineMs = 20_000;

export class Calls extends KvClient {
  putBytes(key: string, value: Uint8Array): Promise<PutResponse> {
    const request = PutRequest.create({ key: Buffer.from(key), value });
    return this.call(`${kv}Put`, PutRequest, PutResponse, request, deadlineMs);
  }

  deleteFrom(key: string): Promise<DeleteRangeResponse> {
    const request = DeleteRangeRequest.create({
      key: Buffer.from(key),
      rangeEnd: Uint8Array.of(0),
    });
    return this.call(
      `${kv}DeleteRange`,
      DeleteRangeRequest,
      DeleteRangeResponse,
      request,
      deadlineMs,
    );
  }

  compact(revision: number): Promise<CompactionResponse> {
    const request = CompactionRequest.create({ revision, physical: true });
    return this.call(`${kv}Compact`, CompactionRequest, CompactionResponse, request, deadlineMs);
  }

  alarm(request: Partial<AlarmRequest> = {}): Promise<AlarmResponse> {
    const full = AlarmRequest.create(request);
    return this.call(`${maintenance}Alarm`, AlarmRequest, AlarmResponse, full, deadlineMs);
  }

  defragment(): Promise<DefragmentResponse> {
    const path = `${maintenance}Defragment`;
    return this.call(path, DefragmentRequest, DefragmentResponse, {}, deadlineMs);
  }
}
