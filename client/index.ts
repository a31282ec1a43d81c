/**
 * The API contract of pg-metako as types, a client for it, and pools for applications. Nothing here depends on anything: it runs in Node 20.19
 * and later and in browsers. Must never import from the agent: the agent imports this, and the compiler compares.
 */
export { ClientError, type ClientErrorKind } from './client-error.ts'
export type {
  AckLink,
  AckRule,
  ActivityFacts,
  ClusterView,
  ConsensusView,
  EpochLink,
  EpochRecord,
  FailoverRecord,
  Finding,
  HistoryDocument,
  InstanceFacts,
  LossReport,
  MemberFacts,
  MemberTags,
  MemberView,
  PortTotals,
  RouteTarget,
  RoutingDocument,
  Schedule,
  StreamView,
  TakeoverReason,
} from './cluster-view.ts'
export type { ClusterDocument, NodeStatus } from './coordination-documents.ts'
export type {
  CertificateFacts,
  DatabaseFacts,
  Diagnosis,
  DiskFacts,
  DoctorDocument,
  HostFacts,
  NodeFacts,
  PeerReach,
  SetupFacts,
  SlotFacts,
} from './doctor-documents.ts'
export {
  createClient,
  type CallOptions,
  type Client,
  type ClientOptions,
  type Health,
  type HealthCheck,
} from './create-client.ts'
export type {
  InvitationEntry,
  InviteRequest,
  InviteResult,
  JoinAnswer,
  JoinDocument,
  JoinRequest,
  MemberEntry,
  MembersDocument,
  RemovedEntry,
  RemoveResult,
  ConfirmDownResult,
  HoldRequest,
  HoldResult,
  ReinitResult,
} from './member-documents.ts'
export {
  PROBLEM_MEDIA_TYPE,
  type DynamicConfigDocument,
  type Problem,
  type ReloadResult,
  type RestartResult,
  type RouterRestartResult,
  type SwitchoverRequest,
  type SwitchoverResult,
} from './operations.ts'
export type {
  ClusterEvent,
  ConfigDocument,
  EstimateDocument,
  LogDocument,
  MemberSeries,
  RecentDocument,
} from './past-documents.ts'
export type {
  PatroniHistoryLine,
  PatroniMember,
  PatroniPrimaryWal,
  PatroniReplicaWal,
  PatroniScheduledRestart,
  PatroniStatus,
  PatroniWalSender,
} from './patroni-documents.ts'
export type { PgClient, PgPool, PgPoolClass, PgResult } from './pg-pool.ts'
export { poolSettings, type PoolSettings } from './pool-settings.ts'
export {
  createPools,
  type Pools,
  type PoolsHealth,
  type PoolSide,
  type PoolsOptions,
  type QueryOptions,
  type ServerHealth,
  type SideHealth,
} from './pools.ts'
export type { WhyAnswer, WhyDocument, WhyQuestion } from './why-documents.ts'
export {
  fetchTransport,
  TooLarge,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
} from './transport.ts'
