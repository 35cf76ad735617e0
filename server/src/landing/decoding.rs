//! The thread that decodes a load while its rows are written.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use stedi_openapi::Reject;
use tokio::sync::mpsc;

use super::bytes::Bytes;
use super::decode::{self, Decoder};
use super::error::LandingError;
use super::rejects::Rejects;
use super::rows::Rows;
use super::split::Splitter;
use super::value::Stored;
use crate::lake::Columns;

/// What is handed from the decoding thread to the writers.
pub(super) enum Decoded {
    Rows(RecordBatch),
    Rejects(RecordBatch),
}

/// What the decoding thread found.
pub(super) struct Tally {
    pub received: u64,
    pub rejected: u64,
    /// Records that were kept out.
    pub suppressed: u64,
    pub rejects: Vec<Reject>,
    pub unknown_fields: BTreeMap<String, u64>,
    pub digest: [u8; 32],
}

/// The work of the decoding thread.
pub(super) struct Decoding {
    decoder: Decoder,
    rows: Rows,
    rejects: Rejects,
    sequence: i64,
    accepted: i64,
    suppressed: u64,
    name: String,
    send: mpsc::Sender<Decoded>,
}

impl Decoding {
    /// The decoding of a load from `name`, which hands batches of `columns` on to `send`.
    pub fn new(
        decoder: Decoder,
        columns: &Columns,
        name: &str,
        sequence: i64,
        send: mpsc::Sender<Decoded>,
    ) -> Self {
        Self {
            decoder,
            rows: Rows::new(Arc::clone(&columns.schema)),
            rejects: Rejects::new(name, sequence),
            sequence,
            accepted: 0,
            suppressed: 0,
            name: name.to_owned(),
            send,
        }
    }

    /// Reads everything, in memory that does not grow with it.
    pub fn run<R: Read>(
        mut self,
        reader: R,
        most: Option<u64>,
        record_bytes: usize,
    ) -> Result<Tally, LandingError> {
        let name = self.name.clone();
        let failed = |stop: Stop| match stop {
            Stop::Read(source) if source.kind() == ErrorKind::FileTooLarge => {
                LandingError::TooLarge { bytes: most.unwrap_or_default() }
            }
            Stop::Read(source) => LandingError::Read { name: name.clone(), source },
            Stop::Landing(error) => error,
        };
        let bytes = Bytes::open(reader, most).map_err(|error| failed(error.into()))?;
        let names = self.decoder.names();
        let digest = Splitter::new(bytes, record_bytes, names)
            .run(|piece| {
                match piece.record {
                    Ok(record) => match self.decoder.decode(record, piece.raw) {
                        decode::Decoded::Row(row) => {
                            let arrival = [self.sequence, self.accepted];
                            let arrival = arrival.map(|value| Some(Stored::Epoch(value)));
                            self.rows.push(row.into_iter().chain(arrival));
                            self.accepted += 1;
                        }
                        decode::Decoded::Rejected { reason, subject_id } => {
                            self.rejects.push(piece.line, reason, piece.raw, subject_id);
                        }
                        decode::Decoded::Suppressed => self.suppressed += 1,
                    },
                    Err(_) if self.decoder.keeps_out(piece.raw) => self.suppressed += 1,
                    Err(reason) => self.rejects.push(piece.line, reason, piece.raw, None),
                }
                if self.rows.full() || self.rejects.full() {
                    self.hand_on()?;
                }
                Ok(())
            })
            .map_err(failed)?;
        self.hand_on().map_err(failed)?;
        let rejected = self.rejects.count();
        Ok(Tally {
            received: self.accepted.unsigned_abs() + rejected + self.suppressed,
            rejected,
            suppressed: self.suppressed,
            rejects: self.rejects.into_listed(),
            unknown_fields: self.decoder.into_unknown(),
            digest,
        })
    }

    fn hand_on(&mut self) -> Result<(), Stop> {
        let failed = |source| LandingError::Rows { name: self.name.clone(), source };
        let rows = self.rows.take().map_err(failed)?.map(Decoded::Rows);
        let rejects = self.rejects.take().map_err(failed)?.map(Decoded::Rejects);
        for decoded in rows.into_iter().chain(rejects) {
            let gone = |_| LandingError::Abandoned { name: self.name.clone() };
            self.send.blocking_send(decoded).map_err(gone)?;
        }
        Ok(())
    }
}

/// Why decoding stopped early.
enum Stop {
    Read(std::io::Error),
    Landing(LandingError),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<LandingError> for Stop {
    fn from(error: LandingError) -> Self {
        Self::Landing(error)
    }
}
