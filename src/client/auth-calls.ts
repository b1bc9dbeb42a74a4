// The Auth service: users, roles, permissions, and authentication itself.

import {
  type AuthDisableResponse,
  type AuthEnableResponse,
  AuthRoleAddRequest,
  type AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  type AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  type AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  type AuthRoleGrantPermissionResponse,
  type AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  type AuthRoleRevokePermissionResponse,
  type AuthStatusResponse,
  AuthUserAddRequest,
  type AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  type AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  type AuthUserDeleteResponse,
  AuthUserGetRequest,
  type AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  type AuthUserGrantRoleResponse,
  type AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  type AuthUserRevokeRoleResponse,
  AuthenticateRequest,
  type AuthenticateResponse,
} from "../wire/index.ts";
import type { CallOptions, Channels } from "./channels.ts";
import { methods } from "./methods.ts";

/** The calls of the Auth service, as part of Client. */
export class AuthCalls {
  protected readonly channels: Channels;

  constructor(channels: Channels) {
    this.channels = channels;
  }

  /** Turns authentication on; needs the user root with the role root. */
  authEnable(options: CallOptions = {}): Promise<AuthEnableResponse> {
    return this.channels.call(methods.authEnable, {}, options);
  }

  /** Turns authentication off. */
  authDisable(options: CallOptions = {}): Promise<AuthDisableResponse> {
    return this.channels.call(methods.authDisable, {}, options);
  }

  /** Whether authentication is on. */
  authStatus(options: CallOptions = {}): Promise<AuthStatusResponse> {
    return this.channels.call(methods.authStatus, {}, options);
  }

  /** A token for a user. The client does this by itself for its own user. */
  authenticate(
    request: Partial<AuthenticateRequest>,
    options: CallOptions = {},
  ): Promise<AuthenticateResponse> {
    return this.channels.call(methods.authenticate, AuthenticateRequest.create(request), options);
  }

  userAdd(
    request: Partial<AuthUserAddRequest>,
    options: CallOptions = {},
  ): Promise<AuthUserAddResponse> {
    return this.channels.call(methods.userAdd, AuthUserAddRequest.create(request), options);
  }

  /** The roles of a user. */
  userGet(
    request: Partial<AuthUserGetRequest>,
    options: CallOptions = {},
  ): Promise<AuthUserGetResponse> {
    return this.channels.call(methods.userGet, AuthUserGetRequest.create(request), options);
  }

  userList(options: CallOptions = {}): Promise<AuthUserListResponse> {
    return this.channels.call(methods.userList, {}, options);
  }

  userDelete(
    request: Partial<AuthUserDeleteRequest>,
    options: CallOptions = {},
  ): Promise<AuthUserDeleteResponse> {
    return this.channels.call(methods.userDelete, AuthUserDeleteRequest.create(request), options);
  }

  userChangePassword(
    request: Partial<AuthUserChangePasswordRequest>,
    options: CallOptions = {},
  ): Promise<AuthUserChangePasswordResponse> {
    return this.channels.call(
      methods.userChangePassword,
      AuthUserChangePasswordRequest.create(request),
      options,
    );
  }

  userGrantRole(
    request: Partial<AuthUserGrantRoleRequest>,
    options: CallOptions = {},
  ): Promise<AuthUserGrantRoleResponse> {
    return this.channels.call(
      methods.userGrantRole,
      AuthUserGrantRoleRequest.create(request),
      options,
    );
  }

  userRevokeRole(
    request: Partial<AuthUserRevokeRoleRequest>,
    options: CallOptions = {},
  ): Promise<AuthUserRevokeRoleResponse> {
    return this.channels.call(
      methods.userRevokeRole,
      AuthUserRevokeRoleRequest.create(request),
      options,
    );
  }

  roleAdd(
    request: Partial<AuthRoleAddRequest>,
    options: CallOptions = {},
  ): Promise<AuthRoleAddResponse> {
    return this.channels.call(methods.roleAdd, AuthRoleAddRequest.create(request), options);
  }

  /** The permissions of a role. */
  roleGet(
    request: Partial<AuthRoleGetRequest>,
    options: CallOptions = {},
  ): Promise<AuthRoleGetResponse> {
    return this.channels.call(methods.roleGet, AuthRoleGetRequest.create(request), options);
  }

  roleList(options: CallOptions = {}): Promise<AuthRoleListResponse> {
    return this.channels.call(methods.roleList, {}, options);
  }

  roleDelete(
    request: Partial<AuthRoleDeleteRequest>,
    options: CallOptions = {},
  ): Promise<AuthRoleDeleteResponse> {
    return this.channels.call(methods.roleDelete, AuthRoleDeleteRequest.create(request), options);
  }

  roleGrantPermission(
    request: Partial<AuthRoleGrantPermissionRequest>,
    options: CallOptions = {},
  ): Promise<AuthRoleGrantPermissionResponse> {
    return this.channels.call(
      methods.roleGrantPermission,
      AuthRoleGrantPermissionRequest.create(request),
      options,
    );
  }

  roleRevokePermission(
    request: Partial<AuthRoleRevokePermissionRequest>,
    options: CallOptions = {},
  ): Promise<AuthRoleRevokePermissionResponse> {
    return this.channels.call(
      methods.roleRevokePermission,
      AuthRoleRevokePermissionRequest.create(request),
      options,
    );
  }
}
