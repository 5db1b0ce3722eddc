//! Linearizable reads: what was acknowledged anywhere before a read began is seen by it.

use super::World;
use crate::planted::Planted;

#[derive(Debug)]
pub struct Read {
    /// Place of the replica that was asked.
    pub replica: usize,
    /// Must be answered by a majority.
    round: u64,
    /// Must be applied.
    index: u64,
    /// Had been acknowledged when the read began.
    acknowledged: u64,
}

impl World {
    /// Asks somebody who believes to lead; sees to it that what is read is not old.
    pub(super) fn read(&mut self) -> Result<(), String> {
        let leaders = self.leaders();
        let Some(&replica) = self.dice.pick(&leaders) else { return Ok(()) };
        let acknowledged = self.judge.acknowledged;
        let consensus = &mut self.members[replica].consensus;
        let (round, index) = (consensus.replicate(), consensus.read_index());
        self.reads.push(Read { replica, round, index, acknowledged });
        let outbox = self.members[replica].consensus.outbox();
        self.mesh.send(replica as u64 + 1, outbox);
        self.answer_reads(replica)
    }

    pub(super) fn answer_reads(&mut self, place: usize) -> Result<(), String> {
        let consensus = &self.members[place].consensus;
        let applied = consensus.applied();
        let careless = self.planted == Some(Planted::StaleRead);
        let is_due = |read: &Read| {
            let confirmed = consensus.is_confirmed(read.round) && applied >= read.index;
            read.replica == place && (careless || confirmed)
        };
        let late = self.reads.iter().find(|read| is_due(read) && read.acknowledged > applied);
        if let Some(read) = late {
            return Err(format!("reads are linearizable: {} was acknowledged, {applied} was read", read.acknowledged));
        }
        self.reads.retain(|read| !is_due(read));
        Ok(())
    }

    /// Somebody watches a run at any replica.
    pub(super) fn watch(&mut self) -> Result<(), String> {
        let runs = self.judge.runs();
        let place = self.any_replica();
        let Some(&run) = self.dice.pick(&runs) else { return Ok(()) };
        self.judge.watch(self.members[place].state(), run)
    }
}
