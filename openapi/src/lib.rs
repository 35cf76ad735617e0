//! Wire types of the STEDI lakehouse: what goes over HTTP, written once for server and client.

mod audit;
mod certificates;
mod code;
mod health;
mod history;
mod holds;
mod imports;
mod landing;
mod maintenance;
mod problem;
mod promotions;
mod revocations;
mod sharing;
mod snapshots;
mod sql;
mod statements;
mod tables;
mod version;
mod work;

pub use audit::{
    AuditBreak, AuditChain, AuditJournalFault, AuditPage, AuditQuery, AuditRecord, AuditReport,
};
pub use certificates::{
    CERTIFICATE_FORMAT, Certificate, CertificateKind, CertifiedExclusion, CertifiedIdentifier,
    CertifiedRequest, CertifiedScan, CertifiedSnapshot, CertifiedTable, CertifiedTimes,
};
pub use code::Code;
pub use health::Health;
pub use history::{HistoryQuery, TableHistory, TableVersion};
pub use holds::{LegalHold, LegalHoldList, LegalHoldPath, LegalHoldRequest};
pub use imports::{ImportFailure, ImportInfo, ImportPath, ImportRequest, ImportRun};
pub use landing::{LandingPath, LoadQuery, LoadResult, Reject};
pub use maintenance::{
    MaintainedState, MaintainedTable, MaintenanceInfo, MaintenancePath, MaintenanceRequest,
    MaintenanceRun,
};
pub use problem::Problem;
pub use promotions::{
    CheckResult, PromotedTable, PromotionCause, PromotionInfo, PromotionList, PromotionPath,
    PromotionQuery, PromotionRequest, PromotionRun, TableState,
};
pub use revocations::{
    ErasureList, FoundObject, RevocationCause, RevocationInfo, RevocationList, RevocationOf,
    RevocationPath, RevocationQuery, RevocationRequest, RevocationRun, RevocationState,
    RevocationStep,
};
pub use sharing::{
    OneShare, Share, ShareList, SharePath, SharedChangesQuery, SharedFile, SharedFilePath,
    SharedFormat, SharedLine, SharedMetadata, SharedProtocol, SharedQuery, SharedSchema,
    SharedSchemaList, SharedSchemaPath, SharedTable, SharedTableList, SharedTablePath,
    SharedVersionQuery, SharingError, SharingPage,
};
pub use snapshots::{
    Manifest, SNAPSHOT_FORMAT, SnapshotColumn, SnapshotDataQuery, SnapshotFile, SnapshotFilePath,
    SnapshotFileQuery, SnapshotInfo, SnapshotList, SnapshotPath, SnapshotQuery, SnapshotRequest,
    SnapshotTable,
};
pub use sql::{Limits, ResultColumn, SqlRequest, SqlResult};
pub use statements::{ChunkInfo, ChunkQuery, StatementInfo, StatementPath};
pub use tables::{ColumnInfo, TableInfo, TableList, TablePath};
pub use version::VERSION;
pub use work::{Work, WorkEvent, WorkState};
