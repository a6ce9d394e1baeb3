//! The lines of a group: the slots of each key in their order, and what the leaving of one means for
//! the next.

use super::{Group, Line, NONE, Offset, Slot, State};

impl Group {
    /// Puts a slot into its line.
    pub(super) fn insert(&mut self, offset: Offset, mut slot: Slot, fresh: bool) {
        let key = slot.key;
        match self.lines.get_mut(&key) {
            None => {
                self.lines.insert(
                    key,
                    Line {
                        head: offset,
                        last: offset,
                    },
                );
            }
            Some(line) if line.last < offset => {
                let last = std::mem::replace(&mut line.last, offset);
                slot.state = State::Behind;
                if let Some(before) = self.slots.get_mut(&last) {
                    before.next = offset;
                }
            }
            Some(line) => {
                let head = line.head;
                let free = (self.slots.get(&head))
                    .is_some_and(|head| matches!(head.state, State::Ready) && !head.settling);
                if offset < head && free {
                    line.head = offset;
                    slot.next = head;
                    if let Some(head) = self.slots.get_mut(&head) {
                        head.state = State::Behind;
                    }
                } else {
                    // Not before a head that is out or has a story.
                    slot.state = State::Behind;
                    self.thread(head, offset, &mut slot);
                }
            }
        }
        let is_head = slot.state == State::Ready;
        self.slots.insert(offset, slot);
        if is_head {
            if fresh {
                self.fresh.push_back(offset);
            } else {
                self.ready.insert(offset);
            }
        }
    }

    /// Puts `slot` into the line of `head`, behind the head and those before `offset`.
    pub(super) fn thread(&mut self, head: Offset, offset: Offset, slot: &mut Slot) {
        let mut before = head;
        loop {
            let Some(at) = self.slots.get_mut(&before) else {
                return;
            };
            if at.next == NONE || at.next > offset {
                slot.next = std::mem::replace(&mut at.next, offset);
                break;
            }
            before = at.next;
        }
        if slot.next == NONE
            && let Some(line) = self.lines.get_mut(&slot.key)
        {
            line.last = offset;
        }
    }

    pub(super) fn hold(&mut self, offset: Offset) {
        self.leave(offset);
        self.dying.remove(&offset);
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Held;
            slot.settling = false;
            self.held.insert(offset);
        }
    }

    /// Whether it was not settled before.
    pub(super) fn settle(&mut self, offset: Offset) -> bool {
        if !self.slots.contains_key(&offset) {
            if offset < self.next || self.settled_ahead.contains(offset) {
                return false;
            }
            self.settled_ahead.insert(offset, offset + 1);
            self.held_ahead.remove(&offset);
            self.settling_ahead.remove(&offset);
            self.counts.offered += 1;
            return true;
        }
        self.leave(offset);
        self.dying.remove(&offset);
        self.held.remove(&offset);
        let Some(slot) = self.slots.remove(&offset) else {
            return false;
        };
        let Some(line) = self.lines.get_mut(&slot.key) else {
            return true;
        };
        if line.head == offset {
            if slot.next == NONE {
                self.lines.remove(&slot.key);
            } else {
                line.head = slot.next;
                if (self.slots.get(&slot.next)).is_some_and(|next| next.state == State::Behind) {
                    self.make_ready(slot.next);
                }
            }
        } else {
            let head = line.head;
            self.unthread(head, offset, &slot);
        }
        true
    }

    /// Takes a slot out of the middle of its line.
    pub(super) fn unthread(&mut self, head: Offset, offset: Offset, slot: &Slot) {
        let mut before = head;
        while let Some(at) = self.slots.get_mut(&before) {
            if at.next == offset {
                at.next = slot.next;
                break;
            }
            before = at.next;
        }
        if slot.next == NONE
            && let Some(line) = self.lines.get_mut(&slot.key)
        {
            line.last = before;
        }
    }

    /// Takes note that the event is no longer with a client, nor waits for a time.
    pub(super) fn leave(&mut self, offset: Offset) {
        let Some(slot) = self.slots.get_mut(&offset) else {
            return;
        };
        match slot.state {
            State::Leased { lease, until } => {
                self.out -= 1;
                self.leases.close(lease, until, offset);
            }
            State::Delayed { due } => self.leases.forget(due, offset),
            _ => {}
        }
    }

    pub(super) fn make_ready(&mut self, offset: Offset) {
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Ready;
            self.ready.insert(offset);
        }
    }
}
