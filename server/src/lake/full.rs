//! A disk, or a quota of it, that is used up: under the lake's folder, or where plans spill.

use std::error::Error;
use std::io::ErrorKind;

use stedi_openapi::Code;

/// The kind of problem of an error that nobody who asked can help: `storage_full` where a disk or a
/// quota is used up anywhere below it, `internal` otherwise.
pub fn failure(error: &(dyn Error + 'static)) -> Code {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if is_full(error) {
            return Code::StorageFull;
        }
        cause = error.source();
    }
    Code::Internal
}

fn is_full(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::error::ArrowError;
    use deltalake::datafusion::error::DataFusionError;

    use super::*;
    use crate::lake::LakeError;

    #[test]
    fn it_is_found_below_everything_that_wraps_it() {
        let plan = |kind: ErrorKind| {
            let arrow = ArrowError::IoError("spill".to_owned(), kind.into());
            let source = DataFusionError::ArrowError(Box::new(arrow), None).context("a sort");
            LakeError::Plan { table: "t".to_owned(), source: Box::new(source) }
        };
        assert_eq!(failure(&plan(ErrorKind::StorageFull)), Code::StorageFull);
        assert_eq!(failure(&plan(ErrorKind::QuotaExceeded)), Code::StorageFull);
        assert_eq!(failure(&plan(ErrorKind::PermissionDenied)), Code::Internal);
        assert_eq!(failure(&LakeError::Cancelled), Code::Internal);
    }
}
