// etcdserverpb.Auth. Changes are commands, checked again where they are applied; what is only asked
// is a linearizable read. A password is hashed here, and goes no further: the commands have no
// field for one.

import { emptyBytes, QuorateError, utf8 } from "../base/index.ts";
import type { CallContext, ReplyBytes, Service, UnaryHandler } from "../grpc/index.ts";
import type { AuthReader, CommandKind } from "../node/handle.ts";
import {
  AuthenticateRequest,
  AuthenticateResponse,
  AuthDisableRequest,
  AuthEnableRequest,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserDeleteRequest,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  PasswordChange,
  type Permission,
  PermissionType,
  type ResponseHeader,
  UserCreation,
} from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { expectKind } from "./errors.ts";
import { Login } from "./login.ts";
import { passwordBytesMax } from "./password-hasher.ts";

type Handle = (bytes: Uint8Array, call: CallContext) => ReplyBytes | Promise<ReplyBytes>;

/** The role whose holders may do everything; what it shows is not what was granted to it. */
const rootRole = "root";
const rootPermission: Permission = {
  permType: PermissionType.READWRITE,
  key: new Uint8Array(0),
  rangeEnd: new Uint8Array(1),
};
const bcryptHash = /^\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$/;

export function authService(api: ApiContext): Service {
  const login = new Login(api);
  const auth = new Auth(api);
  const unary = (handle: Handle): { readonly kind: "unary"; readonly handle: UnaryHandler } => ({
    kind: "unary",
    handle,
  });
  registerRevision(api);
  return {
    name: "etcdserverpb.Auth",
    methods: {
      AuthEnable: unary(auth.change("authEnable", AuthEnableRequest)),
      AuthDisable: unary(auth.change("authDisable", AuthDisableRequest)),
      AuthStatus: unary((bytes) => auth.status(bytes)),
      Authenticate: unary((bytes, call) => authenticate(api, login, bytes, call)),
      UserAdd: unary((bytes, call) => auth.userAdd(bytes, call)),
      UserGet: unary((bytes, call) => auth.userGet(bytes, call)),
      UserList: unary((bytes, call) => auth.userList(bytes, call)),
      UserDelete: unary(auth.change("userDelete", AuthUserDeleteRequest)),
      UserChangePassword: unary((bytes, call) => auth.changePassword(bytes, call)),
      UserGrantRole: unary(auth.change("userGrantRole", AuthUserGrantRoleRequest)),
      UserRevokeRole: unary(auth.change("userRevokeRole", AuthUserRevokeRoleRequest)),
      RoleAdd: unary(auth.change("roleAdd", AuthRoleAddRequest)),
      RoleGet: unary((bytes, call) => auth.roleGet(bytes, call)),
      RoleList: unary((bytes, call) => auth.roleList(bytes, call)),
      RoleDelete: unary(auth.change("roleDelete", AuthRoleDeleteRequest)),
      RoleGrantPermission: unary(
        auth.change("roleGrantPermission", AuthRoleGrantPermissionRequest),
      ),
      RoleRevokePermission: unary(
        auth.change("roleRevokePermission", AuthRoleRevokePermissionRequest),
      ),
    },
  };
}

function registerRevision(api: ApiContext): void {
  const { metrics } = api.options;
  const revision = metrics.gauge("etcd_debugging_auth_revision", "Revision of the auth store.");
  metrics.onCollect(() => revision.set(api.handle.auth.revision));
}

async function authenticate(
  api: ApiContext,
  login: Login,
  bytes: Uint8Array,
  call: CallContext,
): Promise<ReplyBytes> {
  const { name, password } = AuthenticateRequest.decode(bytes);
  const token = await login.authenticate(name, password, call);
  return AuthenticateResponse.encode({ header: api.currentHeader(), token });
}

class Auth {
  readonly #api: ApiContext;

  constructor(api: ApiContext) {
    this.#api = api;
  }

  /** A request that goes into the log as it came, once it parses. */
  change(kind: CommandKind, codec: { decode(bytes: Uint8Array): unknown }): Handle {
    return (bytes, call) => {
      codec.decode(bytes);
      return this.#propose(kind, bytes, call);
    };
  }

  async #propose(kind: CommandKind, body: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    const result = await this.#api.handle.propose(kind, body, this.#api.callerOf(call));
    return this.#api.headerField(expectKind(result, "done").revision);
  }

  async userAdd(bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    const { name, password, hashedPassword, options } = AuthUserAddRequest.decode(bytes);
    const noPassword = options?.noPassword ?? false;
    const passwordHash = noPassword ? emptyBytes : await this.#hash(password, hashedPassword);
    const creation = UserCreation.encode({ name, passwordHash, noPassword });
    return this.#propose("userAdd", creation, call);
  }

  async changePassword(bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    const { name, password, hashedPassword } = AuthUserChangePasswordRequest.decode(bytes);
    const passwordHash = await this.#hash(password, hashedPassword);
    return this.#propose("userChangePassword", PasswordChange.encode({ name, passwordHash }), call);
  }

  /**
   * Without a password it is the given hash of one, so that users can move here with etcd's; with
   * neither it is empty, and the user cannot log in by password.
   */
  async #hash(password: string, hashedPassword: string): Promise<Uint8Array> {
    if (password === "") {
      return givenHash(hashedPassword);
    }
    if (utf8(password).length > passwordBytesMax) {
      throw new QuorateError("passwordTooLong");
    }
    return utf8(await this.#api.passwords.hash(password));
  }

  status(bytes: Uint8Array): ReplyBytes | Promise<ReplyBytes> {
    AuthStatusRequest.decode(bytes);
    return this.#read((auth, header) =>
      AuthStatusResponse.encode({ header, enabled: auth.enabled, authRevision: auth.revision }),
    );
  }

  userGet(bytes: Uint8Array, call: CallContext): ReplyBytes | Promise<ReplyBytes> {
    const { name } = AuthUserGetRequest.decode(bytes);
    const caller = this.#api.callerOf(call);
    return this.#read((auth, header) => {
      if (caller?.user !== name || name === "") {
        permit(auth.checkRoot(caller));
      }
      const user = auth.user(name);
      if (user === undefined) {
        throw new QuorateError("userNotFound");
      }
      return AuthUserGetResponse.encode({ header, roles: user.roles });
    });
  }

  userList(bytes: Uint8Array, call: CallContext): ReplyBytes | Promise<ReplyBytes> {
    AuthUserListRequest.decode(bytes);
    const caller = this.#api.callerOf(call);
    return this.#read((auth, header) => {
      permit(auth.checkRoot(caller));
      return AuthUserListResponse.encode({ header, users: auth.userNames() });
    });
  }

  roleGet(bytes: Uint8Array, call: CallContext): ReplyBytes | Promise<ReplyBytes> {
    const { role: name } = AuthRoleGetRequest.decode(bytes);
    const caller = this.#api.callerOf(call);
    return this.#read((auth, header) => {
      const own = caller === undefined ? undefined : auth.user(caller.user);
      if (own?.roles.includes(name) !== true) {
        permit(auth.checkRoot(caller));
      }
      const role = auth.role(name);
      if (role === undefined) {
        throw new QuorateError("roleNotFound");
      }
      const perm = name === rootRole ? [rootPermission] : role.permissions;
      return AuthRoleGetResponse.encode({ header, perm });
    });
  }

  roleList(bytes: Uint8Array, call: CallContext): ReplyBytes | Promise<ReplyBytes> {
    AuthRoleListRequest.decode(bytes);
    const caller = this.#api.callerOf(call);
    return this.#read((auth, header) => {
      permit(auth.checkRoot(caller));
      return AuthRoleListResponse.encode({ header, roles: auth.roleNames() });
    });
  }

  #read(
    reply: (auth: AuthReader, header: ResponseHeader) => Uint8Array,
  ): ReplyBytes | Promise<ReplyBytes> {
    return this.#api.handle.read<ReplyBytes>(true, ({ auth, store }) =>
      reply(auth, this.#api.headerMessage(store.revision)),
    );
  }
}

/** The hash in a request: bcrypt's text in base64. */
function givenHash(base64: string): Uint8Array {
  const hash = Buffer.from(base64, "base64").toString("latin1");
  if (base64 !== "" && !bcryptHash.test(hash)) {
    throw new QuorateError("noPasswordUser");
  }
  return utf8(hash);
}
