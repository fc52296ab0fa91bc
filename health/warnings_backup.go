package health

// backupWarnings are about copies of the journal, and about what is known after one was put in its place.
func backupWarnings() []Warning {
	return []Warning{
		{BackupNotMade, Warn,
			Words{"The backup of the journal was not made", "账本备份失败", "帳本備份失敗"},
			Words{"Payments go on. Mend what stands in parentheses (room on the disk, the folder's owner), then run: posagent backup. If the journal itself is named, run: posagent journal verify",
				"收款不受影响。请处理括号中的原因（磁盘空间、文件夹归属），然后运行：posagent backup。如提示账本本身有误，请运行：posagent journal verify",
				"收款不受影響。請處理括號中的原因（磁碟空間、資料夾歸屬），然後執行：posagent backup。如提示帳本本身有誤，請執行：posagent journal verify"},
			[]Reader{Manager, Installer}, atOnce},
		{BackupOld, Warn,
			Words{"The newest good backup of the journal is older than two days", "最近一次有效的账本备份已超过两天", "最近一次有效的帳本備份已超過兩天"},
			Words{"Run: posagent backup, and see that the PC is on at the time of the nightly backup, or often enough after it.",
				"请运行：posagent backup，并确保电脑在夜间备份时间或之后保持开机。",
				"請執行：posagent backup，並確保電腦在夜間備份時間或之後保持開機。"},
			[]Reader{Manager, Installer}, atOnce},
		{FoundAfterRestore, Red,
			Words{"WeChat Pay holds orders that are missing in the restored journal", "微信支付存有恢复后的账本中缺失的订单", "微信支付存有還原後的帳本中缺失的訂單"},
			Words{"Look at each: posagent journal found. Did the customer get the goods? Give back on the merchant platform what nobody was to pay, then: posagent journal settle ID. Never charge such a sale again before.",
				"请逐笔核对：posagent journal found。顾客是否已拿到商品？不应收取的款项请在商户平台退款，然后运行：posagent journal settle ID。核对前请勿对该单重复收款。",
				"請逐筆核對：posagent journal found。顧客是否已拿到商品？不應收取的款項請在商戶平台退款，然後執行：posagent journal settle ID。核對前請勿對該單重複收款。"},
			[]Reader{Manager, Installer}, atOnce},
		{RestoreAsking, Info,
			Words{"The journal was restored; WeChat Pay is being asked for the orders that are missing in it", "正在向微信支付查询恢复后的账本中缺失的订单", "正在向微信支付查詢還原後的帳本中缺失的訂單"},
			Words{"Sell on. Before you charge again for a sale of the lost time, wait until this has gone and look at: posagent journal found",
				"可继续收款。对缺失时段的订单重复收款之前，请等待此提示消失并查看：posagent journal found",
				"可繼續收款。對缺失時段的訂單重複收款之前，請等待此提示消失並查看：posagent journal found"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
	}
}
