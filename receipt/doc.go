// Package receipt prints: it lays out the slip of a payment as text, for terminal, preview and printers.
//
// Only a payment that is Paid prints PAID. One that was declined, taken back, or is being taken back prints NOT PAID in words, and when
// money that was taken returns; any other has nothing to prove yet, and prints nothing. A slip shows no digit of a payment code.
//
// Widths are counted as a receipt printer counts them: a Chinese character takes two columns.
package receipt
