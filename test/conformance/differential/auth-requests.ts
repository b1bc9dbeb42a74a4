// Random requests while authentication is on: users and roles that come and go, what they are
// granted, who logs in; and KV calls as one of them, as nobody and with what is no token.

import type { SeededRng } from "../../../src/base/index.ts";
import * as wire from "../../../src/wire/index.ts";
import { bytes, callOf, type RandomCall, type RequestGenerator } from "./requests.ts";

/** The third is never added, the fourth is root. */
const users = ["u1", "u2", "u3", "root"];
const roles = ["r1", "r2", "r3"];
/** Ranges that are some, one a key. */
const ranges = [
  ["\0", "\0"],
  ["a", "c"],
  ["ab", "b"],
  ["abc", ""],
  ["b", "\0"],
  ["c", ""],
] as const;
/** A wrong password makes its address wait here, after some of them. */
const wrongPasswordsMax = 3;

export interface CallAs {
  /** A user that logged in at some time; "" for nobody, "?" for what is no token. */
  readonly as: string;
  readonly call: RandomCall;
  /** Whose token a reply brings. */
  readonly login?: string;
}

export function passwordOf(name: string): string {
  return `${name}-pass`;
}

export class AuthGenerator {
  readonly #rng: SeededRng;
  readonly #kv: RequestGenerator;
  #wrongPasswords = 0;
  /** Users that may be deleted. Who tries to log in as one would be made to wait in the end. */
  readonly #missing = new Set<string>();

  constructor(rng: SeededRng, kv: RequestGenerator) {
    this.#rng = rng;
    this.#kv = kv;
  }

  /** What turns it on: root, and users with rights to begin with. */
  prologue(): CallAs[] {
    const range = (permType: number, key: string, end: string): wire.Permission => ({
      permType,
      key: bytes(key),
      rangeEnd: bytes(end),
    });
    const calls = [
      this.#userAdd("root"),
      this.#userAdd("u1"),
      this.#userAdd("u2"),
      this.#roleAdd("r1"),
      this.#roleAdd("r2"),
      this.#grantPermission("r1", range(2, "a", "c")),
      this.#grantPermission("r1", range(0, "b", "\0")),
      this.#grantPermission("r2", range(1, "\0", "\0")),
      this.#grantRole("root", "root"),
      this.#grantRole("u1", "r1"),
      this.#grantRole("u2", "r1"),
      this.#grantRole("u2", "r2"),
      callOf("Auth/AuthEnable", {}, wire.AuthEnableRequest, wire.AuthEnableResponse),
    ];
    const logins = ["root", "u1", "u2"].map((name) => this.#login(name, passwordOf(name)));
    return [...calls.map((call) => ({ as: "", call })), ...logins];
  }

  epilogue(): CallAs {
    const { AuthDisableRequest, AuthDisableResponse } = wire;
    return {
      as: "root",
      call: callOf("Auth/AuthDisable", {}, AuthDisableRequest, AuthDisableResponse),
    };
  }

  next(): CallAs {
    const draw = this.#rng.below(100);
    if (draw < 60) {
      const call = this.#kv.next();
      // etcd 3.4 lets everybody do these.
      const isOpen = /\/(Compact|Lease\w+)$/.test(call.path) || attachesInTxn(call);
      return { as: isOpen ? "root" : this.#caller(), call };
    }
    if (draw < 70) {
      const name = this.#pick(["u1", "u2", "root"].filter((each) => !this.#missing.has(each)));
      return this.#login(name, passwordOf(name));
    }
    if (draw < 71 && this.#wrongPasswords < wrongPasswordsMax) {
      this.#wrongPasswords++;
      return this.#login(this.#pick(["u1", "u3"]), "wrong");
    }
    // Mostly root: others may not.
    const as = this.#rng.below(5) === 0 ? this.#caller() : "root";
    return { as, call: this.#manage(as) };
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#rng.below(list.length)] as T;
  }

  #caller(): string {
    return this.#pick(["u1", "u1", "u1", "u2", "u2", "root", "", "?"]);
  }

  #login(name: string, password: string): CallAs {
    const { AuthenticateRequest, AuthenticateResponse } = wire;
    const request = { name, password };
    return {
      as: "",
      login: name,
      call: callOf("Auth/Authenticate", request, AuthenticateRequest, AuthenticateResponse),
    };
  }

  #manage(as: string): RandomCall {
    const [user, role] = [this.#pick(users), this.#pick(roles)];
    const { key, rangeEnd } = this.#permission();
    switch (this.#rng.below(13)) {
      case 0:
        return this.#readd(as, this.#pick(["u1", "u2"]));
      case 1:
        this.#missing.add(user === "root" ? "" : user);
        return this.#userDelete(user);
      case 2:
      case 3:
      case 4:
        return this.#grantRole(user, this.#pick([...roles, "root"]));
      case 5: {
        const request = { name: user, role };
        const { AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse } = wire;
        const method = "Auth/UserRevokeRole";
        return callOf(method, request, AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse);
      }
      case 6:
        return this.#roleAdd(this.#pick([...roles.slice(0, 2), ""]));
      case 7: {
        const { AuthRoleDeleteRequest, AuthRoleDeleteResponse } = wire;
        return callOf(
          "Auth/RoleDelete",
          { role: this.#pick([role, "root"]) },
          AuthRoleDeleteRequest,
          AuthRoleDeleteResponse,
        );
      }
      case 8:
      case 9:
        return this.#grantPermission(role, this.#permission());
      case 10: {
        const { AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse } = wire;
        return callOf(
          "Auth/RoleRevokePermission",
          { role, key, rangeEnd },
          AuthRoleRevokePermissionRequest,
          AuthRoleRevokePermissionResponse,
        );
      }
      default:
        return this.#ask(user, role);
    }
  }

  #readd(as: string, name: string): RandomCall {
    if (as === "root") {
      this.#missing.delete(name);
    }
    return this.#userAdd(name);
  }

  #permission(): wire.Permission {
    const [key, end] = this.#pick(ranges);
    return { permType: this.#rng.below(3), key: bytes(key), rangeEnd: bytes(end) };
  }

  #ask(user: string, role: string): RandomCall {
    switch (this.#rng.below(4)) {
      case 0: {
        const { AuthUserGetRequest, AuthUserGetResponse } = wire;
        return callOf("Auth/UserGet", { name: user }, AuthUserGetRequest, AuthUserGetResponse);
      }
      case 1: {
        const { AuthRoleGetRequest, AuthRoleGetResponse } = wire;
        return callOf("Auth/RoleGet", { role }, AuthRoleGetRequest, AuthRoleGetResponse);
      }
      case 2: {
        const { AuthUserListRequest, AuthUserListResponse } = wire;
        return callOf("Auth/UserList", {}, AuthUserListRequest, AuthUserListResponse);
      }
      default: {
        const { AuthRoleListRequest, AuthRoleListResponse } = wire;
        return callOf("Auth/RoleList", {}, AuthRoleListRequest, AuthRoleListResponse);
      }
    }
  }

  #userAdd(name: string): RandomCall {
    const request = { name, password: passwordOf(name) };
    return callOf("Auth/UserAdd", request, wire.AuthUserAddRequest, wire.AuthUserAddResponse);
  }

  #userDelete(name: string): RandomCall {
    const { AuthUserDeleteRequest, AuthUserDeleteResponse } = wire;
    return callOf("Auth/UserDelete", { name }, AuthUserDeleteRequest, AuthUserDeleteResponse);
  }

  #roleAdd(name: string): RandomCall {
    const { AuthRoleAddRequest, AuthRoleAddResponse } = wire;
    return callOf("Auth/RoleAdd", { name }, AuthRoleAddRequest, AuthRoleAddResponse);
  }

  #grantRole(user: string, role: string): RandomCall {
    const { AuthUserGrantRoleRequest, AuthUserGrantRoleResponse } = wire;
    const request = { user, role };
    return callOf(
      "Auth/UserGrantRole",
      request,
      AuthUserGrantRoleRequest,
      AuthUserGrantRoleResponse,
    );
  }

  #grantPermission(name: string, perm: wire.Permission): RandomCall {
    const { AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse } = wire;
    return callOf(
      "Auth/RoleGrantPermission",
      { name, perm },
      AuthRoleGrantPermissionRequest,
      AuthRoleGrantPermissionResponse,
    );
  }
}

/** Whether a transaction puts a key on a lease, which has keys that may not be the caller's. */
function attachesInTxn({ path, request }: RandomCall): boolean {
  if (!path.endsWith("/Txn")) {
    return false;
  }
  const { success, failure } = request as wire.TxnRequest;
  return [...success, ...failure].some(
    ({ request: operation }) => operation?.kind === "requestPut" && operation.value.lease !== 0n,
  );
}
