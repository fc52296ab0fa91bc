package health

// CashierStep is what whoever stands at the till does about the warning. It names no command, no file and no setting: those stand in NextStep, for the manager's page and
// posagent status. It ends with whom to call.
func (w Warning) CashierStep() Words {
	if step, own := cashierSteps()[w.Code]; own {
		return step
	}
	return Words{"If payments still go through, go on selling. Tell the manager (M).", "如仍可收款，请照常收款，并告知店长（M）。", "如仍可收款，請照常收款，並告知經理（M）。"}
}

// cashierSteps are those of the warnings about which a cashier does something.
func cashierSteps() map[Code]Words {
	takeCash := Words{"Take cash or another means. Call the manager (M).", "请收现金或使用其他支付方式，并请叫店长（M）。", "請收現金或使用其他付款方式，並請叫經理（M）。"}
	return map[Code]Words{
		GatewayUnreachable: {"Take cash or another means; selling goes on by itself once WeChat Pay answers. If it stays, call the manager (M).",
			"请收现金或使用其他支付方式；恢复后会自动继续。如未恢复，请叫店长（M）。", "請收現金或使用其他付款方式；恢復後會自動繼續。如未恢復，請叫經理（M）。"},
		CaptivePortal:  {"Take cash. This PC must be logged in to the network: call the manager (M).", "请收现金。本机需要登录网络：请叫店长（M）。", "請收現金。本機需要登入網絡：請叫經理（M）。"},
		NotVerifiedYet: {"Take cash until this goes away. If it stays for a minute, call the manager (M).", "此提示消失前请收现金。如一分钟后仍在，请叫店长（M）。", "此提示消失前請收現金。如一分鐘後仍在，請叫經理（M）。"},
		ScannerAway: {"Plug it in, or type the code: T when a code is asked for. If it stays, call the manager (M).",
			"请插好，或输入付款码：提示扫码时按 T。如未恢复，请叫店长（M）。", "請插好，或輸入付款碼：提示掃碼時按 T。如未恢復，請叫經理（M）。"},
		CredentialsRefused: takeCash, JournalUnwritable: takeCash, JournalFinding: takeCash, DiskFull: takeCash,
		CertificateExpired: takeCash, ClientCertificateMissing: takeCash, ClientCertificateRefused: takeCash, ClockUnset: takeCash,
		ClockOffMuch: {"The date on receipts may be wrong. Call the manager (M).", "小票日期可能有误，请叫店长（M）。", "收據日期可能有誤，請叫經理（M）。"},
		CertificateNotYetValid: {"The date of this PC may be wrong. If no payment is taken, take cash. Call the manager (M).",
			"本机日期可能有误。如不能收款，请收现金，并请叫店长（M）。", "本機日期可能有誤。如不能收款，請收現金，並請叫經理（M）。"},
		PaymentAttention: {"Do not charge that sale again by WeChat Pay; hand over nothing for it yet. Call the manager (M).",
			"该单请勿再用微信支付收款，暂勿交货，请叫店长（M）。", "該單請勿再用微信支付收款，暫勿交貨，請叫經理（M）。"},
		PaymentSetAside: {"Sell on, but do not charge that sale again by WeChat Pay. It is followed up by itself; before the day is closed, call the manager (M).",
			"可继续收款，但该单请勿再用微信支付收款。系统会继续跟进；日结前请叫店长（M）。", "可繼續收款，但該單請勿再用微信支付收款。系統會繼續跟進；日結前請叫經理（M）。"},
		PaidNotAnnounced: {"The till asks about it: answer only what you know. Not sure: call the manager (M).", "收银机会询问：只回答确知的情况。不确定时请叫店长（M）。", "收銀機會詢問：只回答確知的情況。不確定時請叫經理（M）。"},
		LateSuccess: {"It goes back to the customer by itself: no goods and no cash for it, unless the sale was paid in another way. Call the manager (M).",
			"款项会自动退回顾客：请勿为此交货或付现金（已用其他方式付款的除外）。请叫店长（M）。", "款項會自動退回顧客：請勿為此交貨或付現金（已用其他方式付款的除外）。請叫經理（M）。"},
		RestoreAsking: {"Sell on. Before you charge again for an earlier sale, call the manager (M).", "可继续收款。对较早的订单重复收款之前，请叫店长（M）。", "可繼續收款。對較早的訂單重複收款之前，請叫經理（M）。"},
	}
}
