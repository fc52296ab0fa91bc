package health

// The codes, by the part that the cause lies in. warnings.go says of each what happened and what to do.
const (
	GatewayUnreachable Code = "gateway_unreachable"
	CaptivePortal      Code = "captive_portal" // something else answers at WeChat Pay's address
	NotVerifiedYet     Code = "not_verified_yet"
	CredentialsRefused Code = "credentials_refused"

	ClockOff     Code = "clock_off"      // by 60 s or more
	ClockOffMuch Code = "clock_off_much" // by 240 s or more
	ClockUnset   Code = "clock_unset"    // before this program was built

	ScannerAway         Code = "scanner_away"
	ScannerNoPermission Code = "scanner_no_permission"
	ScannerUnsupported  Code = "scanner_unsupported"

	JournalUnwritable Code = "journal_unwritable"
	JournalFinding    Code = "journal_finding"
	JournalFastCommit Code = "journal_fast_commit"
	KeyFolder         Code = "key_folder_unwritable" // the journal's key lies there
	DiskNearlyFull    Code = "disk_nearly_full"
	DiskFull          Code = "disk_full"

	Certificate60Days        Code = "certificate_60_days"
	Certificate30Days        Code = "certificate_30_days"
	Certificate14Days        Code = "certificate_14_days"
	Certificate7Days         Code = "certificate_7_days"
	Certificate1Day          Code = "certificate_1_day"
	CertificateExpired       Code = "certificate_expired"
	CertificateNotYetValid   Code = "certificate_not_yet_valid"
	CertificateUnknownKind   Code = "certificate_unknown_kind"
	CertificateRestart       Code = "certificate_restart"
	CertificateWrongKind     Code = "certificate_wrong_kind"
	CertificateWrongMerchant Code = "certificate_wrong_merchant"
	CertificateUnreadable    Code = "certificate_unreadable"
	ClientCertificateMissing Code = "client_certificate_missing" // API v2 without one
	ClientCertificateRefused Code = "client_certificate_refused" // by WeChat Pay, over API v2
	CertificateChangeUnfit   Code = "certificate_change_unfit"   // files that changed while the service runs
	NextCertificateWaits     Code = "next_certificate_waits"
	NextCertificateRefused   Code = "next_certificate_refused"
	NextCertificateInUse     Code = "next_certificate_in_use"
	NextCertificateUnfit     Code = "next_certificate_unfit"
	PublicKeyUnreadable      Code = "public_key_unreadable"
	KeyMismatch              Code = "key_mismatch"
	KeyUnreadable            Code = "key_unreadable"
	APIKeyWrong              Code = "api_key_wrong"
	APIv2KeyWrong            Code = "api_v2_key_wrong"
	SecretReadable           Code = "secret_readable"
	KeysRestart              Code = "keys_restart"
	PlatformCertificate      Code = "platform_certificate"

	BackupNotMade     Code = "backup_not_made"
	BackupOld         Code = "backup_old" // the newest good one is older than two days
	FoundAfterRestore Code = "found_after_restore"
	RestoreAsking     Code = "restore_asking"

	PaymentAttention Code = "payment_attention"
	PaymentSetAside  Code = "payment_set_aside"
	PaidNotAnnounced Code = "paid_not_announced"

	RefundAttention    Code = "refund_attention"
	LateSuccess        Code = "late_success"        // WeChat Pay holds the money of a payment that ended unpaid
	LateUnanswered     Code = "late_unanswered"     // asked after the end, and no certain answer came
	PaidBackTwice      Code = "paid_back_twice"     // by hand and at WeChat Pay
	SuspectedDuplicate Code = "suspected_duplicate" // one purchase, perhaps paid twice

	APIOpenToNetwork Code = "api_open_to_network"
	ManyWrongPINs    Code = "many_wrong_pins" // in a row, of one operator
)

// Notices of an expiring certificate come at these numbers of days (the project's choice: a new certificate is to be had only by the
// merchant's super administrator, and the old one may live as little as 48 hours beside it).
var expiryNotices = [...]struct {
	days int
	code Code
}{{1, Certificate1Day}, {7, Certificate7Days}, {14, Certificate14Days}, {30, Certificate30Days}, {60, Certificate60Days}}

// ExpiryCode is the warning for a certificate with so many whole days left: the one of the smallest notice that covers them, or false
// with more than 60 days left. Below zero days it has expired.
func ExpiryCode(daysLeft int) (Code, bool) {
	if daysLeft < 0 {
		return CertificateExpired, true
	}
	for _, n := range expiryNotices {
		if daysLeft <= n.days {
			return n.code, true
		}
	}
	return "", false
}

// CertificateCodes are the warnings of which at most one holds for a certificate's dates; a caller clears them before it sets one.
func CertificateCodes() []Code {
	return []Code{Certificate60Days, Certificate30Days, Certificate14Days, Certificate7Days, Certificate1Day, CertificateExpired, CertificateNotYetValid}
}
