// Package queue keeps and drives: it holds the payments that are still open, and the journal that every payment is
// written in before anything is done about it. Nothing is ever queued to be charged later.
//
// Two parts live here. The [Journal] keeps: one bbolt file, one transaction for each step. The [Engine] drives: one
// loop that owns the open payments, steps each by payflow.Step, commits, and only then acts.
//
// # The journal on disk
//
// One file, one bucket for each thing:
//
//	about        format, id, store and till
//	counters     how many order numbers were drawn; how many payments the newest step left open and unannounced, how many refunds open, and its entry
//	events       every event by its sequence: the chain
//	payments     the present state of every payment, by out_trade_no
//	open         the payments that are not final: a start reads these, and no others
//	unannounced  the results that nobody has acknowledged
//	late         the final payments of which it is not certain yet what became of them
//	found_after_restore  what WeChat Pay held and a restored journal had lost; only in a journal that was ever restored
//	by_arming, by_day, by_sale, by_key, by_code, by_payer   where to find a payment
//	refunds      the present state of every refund, by out_refund_no
//	open_refunds the refunds that are not final, or that a person must look at: a start reads these, and no others
//	refunds_by_payment, refunds_by_day, refunds_by_key   where to find a refund
//
// A step is one bbolt Update, which holds the event, the payment after it and its places in the indexes, and returns
// after two fdatasyncs. Each record is JSON with a format number, followed by its seal: HMAC-SHA-256 over the bucket, the key and
// the text, under a key that lies outside the journal. The seal is checked at every read, because bbolt's data pages
// carry no checksum. Each event names the seal of the one before it, and the seal of the payment's state after it.
//
// A refund's step is the same: one Update with the event (kinds refund_…), the refund, and its places. Its first one also adds up the
// payment's other refunds, those that are merely requested too, so that more than was paid is never even wished for.
//
// The refunds' buckets came later, without a new format. A journal that lacks them gets them, in one Update without an entry, when it is
// opened for writing. A program from before refunds opens and verifies a journal that holds some: it passes over their buckets, and takes
// their entries for none of a payment's, because they name the payment as refund_of. While it runs, open refunds wait; the next start of
// this program asks about each.
//
// # What is assumed, and what a crash can leave
//
// fdatasync means on disk, a sector of 512 bytes is written whole or not at all, rename is atomic, and a folder's sync makes the rename last. Under that, a kill or a power
// cut at any moment leaves the journal before the step or after it. While the journal is made it has another name; see
// createJournal for what each moment of that can leave. Who makes, restores or begins anew holds the folder by a lock, and what speaks
// against a journal is believed only under that lock. A commit that fails may or may not be on disk, so that the
// Journal refuses everything from then on and must be opened anew.
//
// # Backup and restore
//
// [Journal.Backup] copies the journal by a read transaction, opens the copy and verifies it, and packs it into one file. [RestoreBackup] puts
// one in a damaged journal's place by one rename, and writes into it who did that, what is known to be lost, and which order numbers the lost
// part may have drawn; [Engine.AskAfterRestore] asks WeChat Pay for those. What it finds is kept for a person, and is never a payment.
//
// # What damage meets
//
// A record that is changed breaks its seal, and reading it is an error. A line that is gone breaks none, so each list is held against a second index on other pages, and the
// number of what is open and unannounced is sealed by each step (complete.go, tally.go). A page whose lengths or places lead astray is
// found before bbolt follows it: in a journal of up to some five thousand payments at every start, in a longer one on the way that a start reads, and
// everywhere by Verify. What no second index can know, a key or a sale that has not been seen for fifty payments, Verify alone finds.
//
// # What a thief of entries meets
//
// Without the key nobody can write an entry, or change one, that [Journal.Verify] takes for true. Cutting the newest entries off needs no
// key, so the head of the chain (its last sequence and seal) is kept elsewhere too: in the system log, and in a memo
// beside the key. The memo lags up to ten seconds behind a commit, because nothing may be added to the way from scan to
// wire; it is exact after Close. Who can write beside the key as well is met by the heads in the log alone.
package queue
