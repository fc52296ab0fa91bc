package health

import (
	"slices"
	"time"
)

// How long a cause lasts before anybody is told.
const (
	atOnce        = 0 * time.Second
	afterReplug   = 2 * time.Second  // "scanner away" is due within 2 s of the unplugging; udev needs up to that long after a replug
	afterFlap     = 5 * time.Second  // a connection that is lost and made again in between hinders no sale
	afterStarting = 10 * time.Second // the first verified answer after a start takes a few seconds
)

// All returns every warning there is, part by part. The caller may change the result.
func All() []Warning {
	return slices.Concat(gatewayWarnings(), clockWarnings(), scannerWarnings(), journalWarnings(), diskWarnings(), backupWarnings(),
		expiryWarnings(), certificateWarnings(), overlapWarnings(), keyWarnings(), paymentWarnings(), accessWarnings())
}

func gatewayWarnings() []Warning {
	return []Warning{
		{GatewayUnreachable, Red,
			Words{"No network: WeChat Pay does not answer", "网络中断：微信支付没有应答", "網絡中斷：微信支付沒有回應"},
			Words{"Take cash or another means. Check the network cable and the router; selling goes on by itself once WeChat Pay answers.",
				"请收现金或使用其他支付方式。检查网线和路由器；微信支付恢复应答后会自动继续。",
				"請收現金或使用其他付款方式。檢查網絡線和路由器；微信支付恢復回應後會自動繼續。"},
			[]Reader{Cashier, Manager, Installer}, afterFlap},
		{CaptivePortal, Red,
			Words{"This network wants a login, or a firewall answers in WeChat Pay's place", "此网络需要登录，或有防火墙代替微信支付应答", "此網絡需要登入，或有防火牆代替微信支付回應"},
			Words{"Take cash. Open any web page on this PC and log in to the network (Wi-Fi), or plug in the shop's own line; then selling goes on by itself. If no login appears: posagent check",
				"请收现金。在本机打开任意网页并登录网络（Wi-Fi），或接回店内专线；之后会自动继续收款。如无登录页面，请运行：posagent check",
				"請收現金。在本機打開任意網頁並登入網絡（Wi-Fi），或接回店內專線；之後會自動繼續收款。如無登入頁面，請執行：posagent check"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
		{NotVerifiedYet, Warn,
			Words{"WeChat Pay has not been reached and verified since the start", "启动后尚未连通并验证微信支付", "啟動後尚未連通並驗證微信支付"},
			Words{"Take cash until this goes away. If it stays for a minute, run: posagent check",
				"此提示消失前请收现金。如一分钟后仍在，请运行：posagent check",
				"此提示消失前請收現金。如一分鐘後仍在，請執行：posagent check"},
			[]Reader{Cashier, Manager, Installer}, afterStarting},
		{CredentialsRefused, Red,
			Words{"WeChat Pay refuses this merchant's certificate or signature", "微信支付拒绝本商户的证书或签名", "微信支付拒絕本商戶的證書或簽名"},
			Words{"Take cash. Run: posagent check, and compare merchant number and certificate with the merchant platform (account settings, API security).",
				"请收现金。运行：posagent check，并与商户平台（账户设置、API安全）核对商户号和证书。",
				"請收現金。執行：posagent check，並與商戶平台（帳戶設定、API安全）核對商戶號和證書。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
	}
}

func clockWarnings() []Warning {
	return []Warning{
		{ClockOff, Warn,
			Words{"The clock of this PC is wrong by a minute or more", "本机时钟误差达一分钟或以上", "本機時鐘誤差達一分鐘或以上"},
			Words{"Switch on the automatic time: timedatectl set-ntp true. From 5 minutes on WeChat Pay refuses everything.",
				"请开启自动校时：timedatectl set-ntp true。误差到五分钟时微信支付会拒绝所有请求。",
				"請開啟自動校時：timedatectl set-ntp true。誤差到五分鐘時微信支付會拒絕所有請求。"},
			[]Reader{Manager, Installer}, atOnce},
		{ClockOffMuch, Red,
			Words{"The clock of this PC is wrong by four minutes or more", "本机时钟误差达四分钟或以上", "本機時鐘誤差達四分鐘或以上"},
			Words{"Set the clock now: timedatectl set-ntp true. Until then posagent uses WeChat Pay's time; dates on receipts may be wrong.",
				"请立即校准时钟：timedatectl set-ntp true。在此之前使用微信支付的时间，小票日期可能有误。",
				"請立即校準時鐘：timedatectl set-ntp true。在此之前使用微信支付的時間，收據日期可能有誤。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
		{ClockUnset, Red,
			Words{"The clock of this PC was never set: it shows a day before this program was made", "本机时钟未设置：显示的日期早于本程序的发布日期", "本機時鐘未設定：顯示的日期早於本程式的發佈日期"},
			Words{"Set the clock: timedatectl set-ntp true. If it is lost at each power cut, have the battery on the main board changed.",
				"请设置时钟：timedatectl set-ntp true。如每次断电后都丢失，请更换主板电池。",
				"請設定時鐘：timedatectl set-ntp true。如每次斷電後都遺失，請更換主機板電池。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
	}
}

func scannerWarnings() []Warning {
	return []Warning{
		{ScannerAway, Warn,
			Words{"The scanner is not connected", "扫码枪没有连接", "掃描器沒有連接"},
			Words{"Check the scanner's cable and plug it in again; it is found by itself. Until then the code can be typed on the page.",
				"检查扫码枪的连接线并重新插上，会自动识别。在此之前可在页面上输入付款码。",
				"檢查掃描器的連接線並重新插上，會自動識別。在此之前可在頁面上輸入付款碼。"},
			[]Reader{Cashier, Manager, Installer}, afterReplug},
		{ScannerNoPermission, Warn,
			Words{"The scanner is there, but the service may not open it", "扫码枪已连接，但服务无权打开", "掃描器已連接，但服務無權開啟"},
			Words{"Install the udev rule (70-posagent-scanner.rules), add this scanner's numbers to it if they are missing, run: udevadm control --reload, and plug the scanner in again.",
				"安装 udev 规则（70-posagent-scanner.rules），如无此扫码枪的编号请补上，运行 udevadm control --reload 后重新插上。",
				"安裝 udev 規則（70-posagent-scanner.rules），如無此掃描器的編號請補上，執行 udevadm control --reload 後重新插上。"},
			[]Reader{Installer}, afterReplug},
		{ScannerUnsupported, Warn,
			Words{"This build of posagent cannot read HID scanners", "此版本的 posagent 不支持 HID 扫码枪", "此版本的 posagent 不支援 HID 掃描器"},
			Words{"Install the build with cgo, or switch the scanner to serial (USB COM) mode and write kind = \"serial\" into the configuration.",
				"请安装带 cgo 的版本，或把扫码枪切换到串口（USB COM）模式并在配置中写 kind = \"serial\"。",
				"請安裝帶 cgo 的版本，或把掃描器切換到串列埠（USB COM）模式並在設定中寫 kind = \"serial\"。"},
			[]Reader{Installer}, atOnce},
	}
}

func journalWarnings() []Warning {
	return []Warning{
		{JournalUnwritable, Red,
			Words{"The journal cannot be written, so no payment is taken", "无法写入账本，暂停收款", "無法寫入帳本，暫停收款"},
			Words{"Take cash. Check that the disk has room and is not read-only, and that the journal belongs to the user posagent; it is tried again by itself.",
				"请收现金。检查磁盘是否已满或只读，账本文件是否属于用户 posagent；会自动重试。",
				"請收現金。檢查磁碟是否已滿或唯讀，帳本檔案是否屬於使用者 posagent；會自動重試。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
		{JournalFinding, Red,
			Words{"The check of the journal found something wrong, so no new payment is taken", "账本校验发现问题，暂停新的收款", "帳本校驗發現問題，暫停新的收款"},
			Words{"Take cash. Run: posagent journal verify, keep its output and a copy of the journal, and call whoever looks after this till.",
				"请收现金。运行：posagent journal verify，保存输出和账本副本，并联系维护人员。",
				"請收現金。執行：posagent journal verify，保存輸出和帳本副本，並聯絡維護人員。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
		{JournalFastCommit, Warn,
			Words{"The journal's disk uses ext4 fast_commit on a kernel that can lose data at a power cut", "账本所在磁盘使用 ext4 fast_commit，当前内核断电时可能丢失数据", "帳本所在磁碟使用 ext4 fast_commit，目前核心斷電時可能遺失資料"},
			Words{"Update the kernel to 5.17 or newer (5.15.27, 5.10.94), or switch it off: tune2fs -O ^fast_commit DEVICE",
				"请将内核升级到 5.17 或更新（5.15.27、5.10.94），或关闭：tune2fs -O ^fast_commit DEVICE",
				"請將核心升級到 5.17 或更新（5.15.27、5.10.94），或關閉：tune2fs -O ^fast_commit DEVICE"},
			[]Reader{Installer}, atOnce},
		{KeyFolder, Warn,
			Words{"Nothing can be written beside the journal's key, so an entry that vanishes from the journal may not be missed", "账本密钥所在文件夹无法写入，账本如有记录丢失可能无法发现", "帳本金鑰所在資料夾無法寫入，帳本如有記錄遺失可能無法發現"},
			Words{"Selling goes on. Check that the folder keys beside the journal has room, is not read-only, holds no folder, and belongs to the user posagent; it is tried again by itself.",
				"可继续收款。检查账本旁的 keys 文件夹是否已满或只读，其中是否有子文件夹，是否属于用户 posagent；会自动重试。",
				"可繼續收款。檢查帳本旁的 keys 資料夾是否已滿或唯讀，其中是否有子資料夾，是否屬於使用者 posagent；會自動重試。"},
			[]Reader{Manager, Installer}, atOnce},
	}
}

func diskWarnings() []Warning {
	return []Warning{
		{DiskNearlyFull, Warn,
			Words{"The disk of the journal is nearly full", "账本所在磁盘即将写满", "帳本所在磁碟即將寫滿"},
			Words{"Make room on it today: old logs, downloads, backups. Never delete the journal.",
				"请今天清理磁盘：旧日志、下载、备份。切勿删除账本。",
				"請今天清理磁碟：舊日誌、下載、備份。切勿刪除帳本。"},
			[]Reader{Manager, Installer}, atOnce},
		{DiskFull, Red,
			Words{"The disk is full: open payments are finished out of the reserve, new ones are not taken", "磁盘已满：用预留空间完成未决款项，暂停新的收款", "磁碟已滿：用預留空間完成未決款項，暫停新的收款"},
			Words{"Take cash. Make room on the disk: old logs, downloads, backups, never the journal. Selling goes on by itself within two minutes.",
				"请收现金。清理磁盘：旧日志、下载、备份，切勿删除账本。两分钟内会自动恢复收款。",
				"請收現金。清理磁碟：舊日誌、下載、備份，切勿刪除帳本。兩分鐘內會自動恢復收款。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
	}
}
