/** Who is in the cluster: from etcd or from a fixed list, behind one interface. */
export { EtcdMembership } from './etcd-membership.ts';
export type { EtcdMembershipOptions } from './etcd-membership.ts';
export type { Membership, MembershipStatus } from './membership.ts';
export { StaticMembership } from './static-membership.ts';
export type { StaticMembershipOptions } from './static-membership.ts';
