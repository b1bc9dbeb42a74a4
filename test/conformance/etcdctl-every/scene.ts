// A cluster for etcdctl's commands, open or behind users and mutual TLS, and which commands, flags
// and formats were used on it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { CertificateFolder } from "../../support/certificates.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import { type Outcome, run, RunningEtcdctl, type RunOptions } from "../etcdctl.ts";

/** etcdctl's own five seconds are few on a machine that is busy. */
const patience = ["--command-timeout=60s", "--dial-timeout=20s"];

export class EtcdctlScene implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "quorate-etcdctl-"));
  /** Every word that was given to etcdctl. */
  readonly used = new Set<string>();
  readonly secured: boolean;
  /** Of the authority that signed the server's certificate. */
  readonly caFile: string | undefined;
  readonly cluster: ClusterProcesses;
  readonly #certificates: CertificateFolder | undefined;
  /** Given with every command. */
  readonly #globals: readonly string[];
  /** How make-mirror reaches the same cluster as its destination: by a certificate alone. */
  readonly destination: readonly string[];

  private constructor(
    cluster: ClusterProcesses,
    certificates: CertificateFolder | undefined,
    globals: readonly string[],
    destination: readonly string[],
    caFile?: string,
  ) {
    this.caFile = caFile;
    this.cluster = cluster;
    this.#certificates = certificates;
    this.#globals = globals;
    this.destination = destination;
    this.secured = certificates !== undefined;
  }

  static async open(size: 1 | 3): Promise<EtcdctlScene> {
    const cluster = await ClusterProcesses.start(size);
    return new EtcdctlScene(cluster, undefined, [], ["--dest-insecure-transport=true"]);
  }

  /** Clients need a certificate and a user; root may do everything. */
  static async secure(): Promise<EtcdctlScene> {
    const certificates = new CertificateFolder();
    const ca = certificates.authority("ca");
    const server = ca.leaf("server");
    const pairOf = (name: string, prefix: string): string[] => {
      const { certFile, keyFile } = ca.leaf(name);
      return [
        `--${prefix}cacert=${ca.caFile}`,
        `--${prefix}cert=${certFile}`,
        `--${prefix}key=${keyFile}`,
      ];
    };
    const cluster = await ClusterProcesses.create(1, ["--bcrypt-cost=4"]);
    const [member] = cluster.members;
    const url = `https://${member?.endpoint}`;
    Object.assign(member?.options ?? {}, {
      flags: [
        ...(member?.options.flags ?? []),
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--cert-file=${server.certFile}`,
        `--key-file=${server.keyFile}`,
        `--trusted-ca-file=${ca.caFile}`,
        "--client-cert-auth",
      ],
    });
    await member?.start();
    const tls = pairOf("nobody", "");
    const set = new EtcdctlScene(cluster, certificates, tls, []);
    for (const words of ["user add root:r00t", "user grant-role root root", "auth enable"]) {
      await set.ctl(...words.split(" "));
    }
    const globals = [...tls, "--user=root:r00t"];
    return new EtcdctlScene(cluster, certificates, globals, pairOf("root", "dest-"), ca.caFile);
  }

  get endpoints(): string[] {
    return this.cluster.endpoints.map((endpoint) =>
      this.secured ? `https://${endpoint}` : endpoint,
    );
  }

  /** Of all members, as etcdctl takes them. */
  get every(): string {
    return this.endpoints.join(",");
  }

  /** What a command prints that ends well. */
  async ctl(...args: string[]): Promise<string> {
    return this.typed("", ...args);
  }

  async typed(input: string, ...args: string[]): Promise<string> {
    const { exit, out, err } = await this.run({ input }, ...args);
    expect([args, exit, err]).toEqual([args, 0, ""]);
    return out;
  }

  run(options: RunOptions, ...args: string[]): Promise<Outcome> {
    this.#note(args);
    return run(this.endpoints[0] ?? "", [...patience, ...this.#globals, ...args], options);
  }

  /** On all members. */
  async everywhere(...args: string[]): Promise<string> {
    const out = await this.run({ env: { ETCDCTL_ENDPOINTS: this.every } }, ...args);
    expect([args, out.exit]).toEqual([args, 0]);
    return out.out + out.err;
  }

  start(...args: string[]): RunningEtcdctl {
    return this.startWith({}, ...args);
  }

  startWith(options: RunOptions, ...args: string[]): RunningEtcdctl {
    this.#note(args);
    const words = [...patience, ...this.#globals, ...args];
    return new RunningEtcdctl(this.endpoints[0] ?? "", words, options);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** "command --flag" for each flag, and "-w format". */
  #note(args: readonly string[]): void {
    const words = args.filter((arg) => !arg.startsWith("-"));
    const short: Readonly<Record<string, string>> = { "-i": "--interactive", "-l": "--listen" };
    for (const command of [words[0] ?? "", words.slice(0, 2).join(" ")]) {
      this.used.add(command);
      for (const arg of args.filter((each) => each.startsWith("-"))) {
        this.used.add(`${command} ${short[arg] ?? arg.split("=")[0]}`);
      }
    }
    const format = args.indexOf("-w");
    if (format !== -1) {
      this.used.add(`-w ${args[format + 1]}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    this.#certificates?.[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
